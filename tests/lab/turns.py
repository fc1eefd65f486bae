"""Runs of tests that share a lab at the same time, and tests that need it to themselves."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class Turns:
    """One run's part in a folder that all runs on a lab share: each has a file there, which it keeps locked.

    The kernel unlocks it when the process ends, however it ends. Of the runs on a lab only one may use alone().
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._mine: IO[str] | None = None

    def join(self) -> None:
        """Take part, once no other run has the lab alone."""
        with self._gate():
            self._mine = (self._folder / f"{os.getpid()}-{id(self)}.run").open("a")
            fcntl.flock(self._mine, fcntl.LOCK_EX)

    def others_at_work(self) -> bool:
        """Whether another run takes part."""
        return any(not _has_ended(path) for path in self._others())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until all other runs have ended; none begins meanwhile."""
        with self._gate():
            for path in self._others():
                _wait_until_ended(path)
            yield

    def leave(self) -> None:
        """Take part no longer."""
        if self._mine is not None:
            Path(self._mine.name).unlink()
            self._mine.close()
            self._mine = None

    @contextmanager
    def _gate(self) -> Iterator[None]:
        with (self._folder / "gate").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    def _others(self) -> list[Path]:
        mine = None if self._mine is None else Path(self._mine.name)
        return [path for path in self._folder.glob("*.run") if path != mine]


def _has_ended(path: Path) -> bool:
    """Whether the run with this file has; what it left behind is removed."""
    try:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return True


def _wait_until_ended(path: Path) -> None:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return  # it has left since
