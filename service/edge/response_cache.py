"""Cache of responses, valid until the database changes or the token expires.

A response to GET is a function of the database, the caller and the request. One cheap value
(service/db/engine/version.py) shows if anything was committed since; no older response is served.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

from service.edge.call import Reply
from service.edge.request import Environ

OVERHEAD_BYTES = 1024  # of an answer beside its body: key, headers, objects


WORKED_OUT_FROM = ("PATH_INFO", "RAW_URI", "QUERY_STRING", "HTTP_IF_NONE_MATCH", "HTTP_X_REASON")


def key_of(environ: Environ) -> Hashable:
    """Return the parts of a request that its response depends on, with the token hashed."""
    token = hashlib.sha256(environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")).digest()
    return token, *(environ.get(name) for name in WORKED_OUT_FROM)


@dataclass(frozen=True, slots=True)
class Answer:
    """Cached response; `valid_until` is the expiry of the caller's token."""

    reply: Reply
    actor: str = "-"
    valid_until: datetime | None = None

    @property
    def size(self) -> int:
        """Return the approximate memory of the entry in bytes."""
        return OVERHEAD_BYTES + len(self.reply.body or b"")


class ResponseCache:
    """Cache of at most `max_bytes` of responses of one database version, evicted by LRU."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._version: Hashable = None
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._bytes = 0

    def find(self, key: Hashable, version: Hashable, now: datetime) -> Answer | None:
        """Return the response to `key` for this database version and a valid token, or None."""
        with self._lock:
            if version != self._version:
                return None
            answer = self._answers.get(key)
            if answer is None or (answer.valid_until is not None and answer.valid_until <= now):
                return None
            self._answers.move_to_end(key)
            return answer

    def keep(self, key: Hashable, version: Hashable, answer: Answer) -> None:
        """Store a response; `version` was read before the response's own reads."""
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
