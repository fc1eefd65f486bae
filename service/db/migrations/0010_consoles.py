"""Tickets for consoles."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, Model
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Add the table."""
    del migrator

    class ConsoleTicket(Model):
        id = CharField(primary_key=True, max_length=64)
        expires_at = BigIntegerField(index=True)
        vm_id = CharField(max_length=36)
        kind = CharField(max_length=8)
        actor = CharField(max_length=63)

        class Meta:
            database = db
            table_name = "console_ticket"

    db.create_tables([ConsoleTicket], safe=False)
