"""Pool of idle connections: opening one costs more than most units of work."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Connection = TypeVar("Connection")


class IdleConnections(Generic[Connection]):
    """Stack of at most `most` idle connections, the last used on top.

    A forked process inherits none: it would not inherit their locks.
    """

    def __init__(self, close: Callable[[Connection], object], most: int) -> None:
        self._close = close
        self._most = most
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        _EVERY.add(self)

    def take(self) -> Connection | None:
        """Take a connection for the caller; None if there is none."""
        with self._lock:
            return self._connections.pop() if self._connections else None

    def give_back(self, connection: Connection) -> None:
        """Return a connection to the pool, or close it if the pool is full."""
        with self._lock:
            if len(self._connections) < self._most:
                self._connections.append(connection)
                return
        self._close(connection)

    def close_all(self) -> None:
        """Close all idle connections."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            self._close(connection)


_EVERY: weakref.WeakSet[IdleConnections[Any]] = weakref.WeakSet()


def _close_every() -> None:
    for kept in list(_EVERY):
        kept.close_all()


# In a child, SQLite would assume file locks that only its parent holds, and libpq would share a stream of bytes.
os.register_at_fork(before=_close_every)
