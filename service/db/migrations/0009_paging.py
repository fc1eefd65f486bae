"""Indexes of sort columns together with the id, so that every page costs the same."""

from __future__ import annotations

from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator

INDEXES = {
    "vm": (("name", "id"), ("created_at", "id")),
    "image": (("name", "id"), ("created_at", "id")),
    "volume": (("created_at", "id"),),
}


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Add the indexes."""
    del db
    migrator.migrate(*(migrator.add_index(table, columns) for table, indexes in INDEXES.items() for columns in indexes))
