"""Queue inside the process in front of a scarce outside resource."""

from __future__ import annotations

import threading

from service.db.engine.errors import DatabaseBusyError


class Admission:
    """Limit of `most` threads at a time; others wait up to `patience_s`."""

    def __init__(self, what: str, most: int, patience_s: float) -> None:
        self._what = what
        self._patience_s = patience_s
        self._free = threading.BoundedSemaphore(most)

    def wait(self) -> None:
        """Wait for a turn. Raises DatabaseBusyError."""
        if not self._free.acquire(timeout=self._patience_s):
            raise DatabaseBusyError(f"{self._what} for {self._patience_s:g} s: retry")

    def end(self) -> None:
        """End the turn. Once per wait()."""
        self._free.release()
