"""Events, idempotency keys, and the counts of jobs that ended."""

from __future__ import annotations

from peewee import BigAutoField, BigIntegerField, BlobField, CharField, IntegerField, Model, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Create the tables."""

    class Event(Model):
        id = BigAutoField()
        created_at = BigIntegerField(index=True)
        kind = CharField(max_length=63)
        object_kind = CharField(max_length=16)
        object_id = CharField(max_length=36)
        project_id = CharField(null=True, max_length=36)
        data = TextField()

        class Meta:
            database = db
            table_name = "event"
            indexes = ((("project_id", "id"), False),)

    class IdempotencyKey(Model):
        id = CharField(primary_key=True, max_length=64)
        created_at = BigIntegerField(index=True)
        fingerprint = CharField(max_length=64)
        status = IntegerField()
        location = CharField(null=True, max_length=255)
        job_id = CharField(null=True, max_length=36)
        body = BlobField()

        class Meta:
            database = db
            table_name = "idempotency_key"

    class Tally(Model):
        id = CharField(primary_key=True, max_length=127)
        kind = CharField(max_length=63)
        state = CharField(max_length=16)
        count = BigIntegerField()
        ms = BigIntegerField()

        class Meta:
            database = db
            table_name = "tally"

    db.create_tables([Event, IdempotencyKey, Tally], safe=False)
    migrator.migrate(migrator.add_index("placement", ("created_at", "id")))
