"""Waiting for a turn inside the process, before anything outside of it is waited for."""

from __future__ import annotations

import threading

from service.db.engine.errors import DatabaseBusyError


class Admission:
    """At most `most` threads at a time; the others wait up to `patience_s`, holding nothing."""

    def __init__(self, what: str, most: int, patience_s: float) -> None:
        self._what = what
        self._patience_s = patience_s
        self._free = threading.BoundedSemaphore(most)

    def wait(self) -> None:
        """Raises DatabaseBusyError."""
        if not self._free.acquire(timeout=self._patience_s):
            raise DatabaseBusyError(f"{self._what} for {self._patience_s:g} s: try again")

    def end(self) -> None:
        """Somebody else's turn. Once per wait()."""
        self._free.release()
