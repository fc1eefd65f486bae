"""Bring a database's schema to the code's: every file of migrations/ once, in order, all or nothing."""

from __future__ import annotations

from pathlib import Path

from peewee import Database
from playhouse.migrations import Runner

from service.db.engine.database import schema_change
from service.db.engine.dump import is_unfinished
from service.errors import ConflictError

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def migrate(db: Database, directory: Path = MIGRATIONS, *, restoring: bool = False) -> tuple[str, ...]:
    """Apply what is missing and return its names; silent when nothing is.

    One transaction holds the write lock: processes that start together wait for each other, and one that dies midway
    leaves the old schema. Raises ConflictError when the database was made by newer code, or is half restored.
    """
    with schema_change(db):
        if is_unfinished(db) and not restoring:
            raise ConflictError("a restore of this database did not end: do it again", code="restore.unfinished")
        runner = Runner(db, directory=str(directory), table_name="schema_migration")
        newer = [migration.name for migration in runner.status() if migration.path is None]
        if newer:
            raise ConflictError(
                f"the database has {', '.join(newer)}, which this version does not know: install the newer version",
                code="database.newer",
            )
        return tuple(runner.up())
