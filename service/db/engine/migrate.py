"""Migration of a database to the code's schema.

Every file of migrations/ is applied once, in order, all or nothing.
"""

from __future__ import annotations

from pathlib import Path

from peewee import Database
from playhouse.migrations import Runner

from service.db.engine.database import schema_change
from service.db.engine.dump import is_unfinished
from service.errors import ConflictError

MIGRATIONS = Path(__file__).parents[1] / "migrations"


def migrate(db: Database, directory: Path = MIGRATIONS, *, restoring: bool = False) -> tuple[str, ...]:
    """Apply missing migrations and return their names.

    One transaction holds the write lock: processes that start together wait for each other, and one that is killed
    midway leaves the old schema. Raises ConflictError when the database is of newer code, or its restore is unfinished.
    """
    with schema_change(db):
        if is_unfinished(db) and not restoring:
            raise ConflictError("a restore of this database did not end: repeat it", code="restore.unfinished")
        runner = Runner(db, directory=str(directory), table_name="schema_migration")
        newer = [migration.name for migration in runner.status() if migration.path is None]
        if newer:
            raise ConflictError(
                f"the database has {', '.join(newer)}, unknown to this version: install the newer version",
                code="database.newer",
            )
        return tuple(runner.up())
