"""Choice of the bell for a database."""

from __future__ import annotations

from pathlib import Path

from service.db.engine.database import Database
from service.db.engine.postgres import PostgresDatabase
from service.jobs.postgres_bell import PostgresBell
from service.jobs.unix_bell import UnixBell
from service.world import Bell, Clock, Ids, Threads


def new_bell(db: Database, folder: Path, *, clock: Clock, ids: Ids, threads: Threads) -> Bell:
    """Return a bell between the processes of a PostgreSQL database, or of a folder.

    With PostgreSQL the processes may run on any computers; with a folder on one.
    """
    if isinstance(db, PostgresDatabase):
        return PostgresBell(db, clock=clock, ids=ids, threads=threads)
    return UnixBell(folder, clock=clock, ids=ids, threads=threads)
