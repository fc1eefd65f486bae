"""Version of a database's content, for caches that must never be stale."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, cast

from service.db.engine.database import Database


class Versioned(Protocol):
    """A database with a version."""

    def version(self) -> Hashable:
        """Return a value that is equal as long as no process commits anything."""


class Version:
    """Version of a database's content.

    Call `now()` before the reads of an answer begin; while it stays equal, the answer would be the same. Equal values
    prove that no process has committed in between; unequal ones only that one may have. Costs some microseconds on
    SQLite (`PRAGMA data_version` of a connection without writes), one round trip on PostgreSQL.
    """

    def __init__(self, db: Database) -> None:
        self._db = cast(Versioned, db)

    def now(self) -> Hashable:
        """Return the current value. Raises DatabaseLostError."""
        return self._db.version()
