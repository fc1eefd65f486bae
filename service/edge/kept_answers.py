"""Answers kept as bytes for as long as they are exact: until anything in the database changes, or the token ends.

What a GET answers is a function of the database, of who asks and of what is asked. The database tells by one cheap
value (service/db/engine/version.py) whether anything was committed since; nothing older than that is ever served.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.edge.call import Reply

OVERHEAD_BYTES = 1024  # of an answer beside its body: key, headers, objects


WORKED_OUT_FROM = ("PATH_INFO", "RAW_URI", "QUERY_STRING", "HTTP_IF_NONE_MATCH", "HTTP_X_REASON")


def key_of(environ: Mapping[str, Any]) -> Hashable:
    """All of a request that its answer depends on. The token itself is not kept."""
    token = hashlib.sha256(environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")).digest()
    return token, *(environ.get(name) for name in WORKED_OUT_FROM)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply whose body is bytes or empty. `valid_until` is when the asker's token ends."""

    reply: Reply
    actor: str = "-"
    valid_until: datetime | None = None

    @property
    def size(self) -> int:
        """Bytes, about, that keeping it costs."""
        return OVERHEAD_BYTES + len(self.reply.body or b"")


class KeptAnswers:
    """At most `max_bytes` of answers, all of one version of the database; the least recently asked for goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._version: Hashable = None
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._bytes = 0

    def find(self, key: Hashable, version: Hashable, now: datetime) -> Answer | None:
        """The answer to `key`, if it was made from this version of the database for a token that is still good."""
        with self._lock:
            if version != self._version:
                return None
            answer = self._answers.get(key)
            if answer is None or (answer.valid_until is not None and answer.valid_until <= now):
                return None
            self._answers.move_to_end(key)
            return answer

    def keep(self, key: Hashable, version: Hashable, answer: Answer) -> None:
        """Remember an answer made from `version`, read before the answer's own reads began."""
        size = answer.size
        if size > self._max_bytes:
            return
        with self._lock:
            if version != self._version:
                self._version, self._bytes = version, 0
                self._answers.clear()
            before = self._answers.pop(key, None)
            self._bytes += size - (before.size if before else 0)
            self._answers[key] = answer
            while self._bytes > self._max_bytes:
                _, oldest = self._answers.popitem(last=False)
                self._bytes -= oldest.size
