"""Has anything changed? For answers that are kept and must never be stale."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, cast

from service.db.engine.database import Database


class Versioned(Protocol):
    """A database that can say so."""

    def version(self) -> Hashable:
        """A value that is equal as long as nobody has committed anything."""


class Version:
    """`now()` before the reads of an answer begin; while it stays equal, the answer would be the same.

    Equal values prove that no process has committed in between; unequal ones only that one may have. SQLite: some
    microseconds (`PRAGMA data_version` of a connection that nobody writes through). PostgreSQL: one round trip.
    """

    def __init__(self, db: Database) -> None:
        self._db = cast(Versioned, db)

    def now(self) -> Hashable:
        """The value at this moment. Raises DatabaseLostError."""
        return self._db.version()
