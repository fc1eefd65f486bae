"""Slots that limit calls which occupy a thread: long polls, event streams, uploads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import UnavailableError
from service.settings import Settings


class Slots:
    """Slots for concurrent calls of one kind."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = threading.BoundedSemaphore(total)
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Return the number of slots in use."""
        return self._taken

    def take(self, busy: str) -> None:
        """Take a slot until give_back().

        Raises UnavailableError with the message `busy` if none is free.
        """
        if not self._free.acquire(blocking=False):
            raise UnavailableError(busy, code="service.busy")
        with self._lock:
            self._taken += 1

    def give_back(self) -> None:
        """Release a slot."""
        with self._lock:
            self._taken -= 1
        self._free.release()

    @contextmanager
    def one(self, busy: str) -> Iterator[None]:
        """Hold a slot for a with block.

        Raises UnavailableError with the message `busy` if none is free.
        """
        self.take(busy)
        try:
            yield
        finally:
            self.give_back()


@dataclass(frozen=True, slots=True)
class SlotSet:
    """Slots of one process, by kind."""

    waits: Slots
    streams: Slots
    uploads: Slots
    logins: Slots

    @classmethod
    def of(cls, settings: Settings) -> SlotSet:
        """Return the slots that the settings define."""
        return cls(
            waits=Slots(settings.wait_slots),
            streams=Slots(settings.stream_slots),
            uploads=Slots(settings.upload_slots),
            logins=Slots(settings.login_slots),
        )
