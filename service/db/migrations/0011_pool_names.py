"""Columns of object ids and names, wide enough for a pool's name."""

from __future__ import annotations

from peewee import CharField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Widen the columns: PostgreSQL enforces the length."""
    del db
    wide = CharField(max_length=127)
    migrator.migrate(
        migrator.alter_column_type("job", "object_id", CharField(default="", max_length=127)),
        migrator.alter_column_type("audit", "object_id", wide),
        migrator.alter_column_type("audit", "object_name", wide),
        migrator.alter_column_type("event", "object_id", wide),
    )
