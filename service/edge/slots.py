"""What holds a thread for long (long polls, event streams, uploads): as many as there are slots."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import UnavailableError
from service.settings import Settings


class Slots:
    """As many calls of a kind as may go on at the same time."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = threading.BoundedSemaphore(total)
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many are held now."""
        return self._taken

    def take(self, busy: str) -> None:
        """Hold a slot until give_back(). Raises UnavailableError with the sentence `busy` when none is free."""
        if not self._free.acquire(blocking=False):
            raise UnavailableError(busy, code="service.busy")
        with self._lock:
            self._taken += 1

    def give_back(self) -> None:
        """Let go of a slot."""
        with self._lock:
            self._taken -= 1
        self._free.release()

    @contextmanager
    def one(self, busy: str) -> Iterator[None]:
        """Hold a slot. Raises UnavailableError with the sentence `busy` when none is free."""
        self.take(busy)
        try:
            yield
        finally:
            self.give_back()


@dataclass(frozen=True, slots=True)
class SlotSet:
    """The slots of one process, by what they are for."""

    waits: Slots
    streams: Slots
    uploads: Slots
    logins: Slots

    @classmethod
    def of(cls, settings: Settings) -> SlotSet:
        """As many as the settings say."""
        return cls(
            waits=Slots(settings.wait_slots),
            streams=Slots(settings.stream_slots),
            uploads=Slots(settings.upload_slots),
            logins=Slots(settings.login_slots),
        )
