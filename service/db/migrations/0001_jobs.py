"""Jobs, their steps and undo entries, and the schedule's last runs."""

from __future__ import annotations

from peewee import BigIntegerField, BooleanField, CharField, FloatField, ForeignKeyField, IntegerField, Model, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Create the tables."""

    class Job(Model):
        id = CharField(primary_key=True, max_length=36)
        kind = CharField(max_length=63)
        state = CharField(max_length=16)
        phase = CharField(max_length=63)
        progress = FloatField()
        progress_text = TextField()
        reason = TextField()
        object_kind = CharField(max_length=16)
        object_id = CharField(max_length=36, index=True)
        args = TextField()
        result = TextField(null=True)
        outcome = CharField(null=True, max_length=16)
        error_code = CharField(null=True, max_length=63)
        error_detail = TextField(null=True)
        actor = CharField(max_length=63)
        request_id = CharField(max_length=64)
        code_version = IntegerField()
        committed = BooleanField()
        cancel_requested = BooleanField()
        term = IntegerField()
        attempts = IntegerField()
        failures = IntegerField()
        lease_owner = CharField(null=True, max_length=63)
        lease_expires_at = BigIntegerField(null=True)
        wake_at = BigIntegerField(null=True)
        created_at = BigIntegerField()
        started_at = BigIntegerField(null=True)
        finished_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "job"
            indexes = ((("state", "created_at"), False), (("created_at", "id"), False))

    class JobStep(Model):
        job = ForeignKeyField(Job, on_delete="CASCADE")
        name = CharField(max_length=63)
        position = IntegerField()
        result = TextField(null=True)
        started_at = BigIntegerField()
        finished_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "job_step"
            indexes = ((("job", "name"), True),)

    class JobUndo(Model):
        job = ForeignKeyField(Job, on_delete="CASCADE")
        position = IntegerField()
        verb = CharField(max_length=63)
        args = TextField()
        done_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "job_undo"
            indexes = ((("job", "position"), True),)

    class ScheduleRun(Model):
        name = CharField(primary_key=True, max_length=63)
        period = BigIntegerField()
        job_id = CharField(max_length=36)

        class Meta:
            database = db
            table_name = "schedule_run"

    del migrator
    db.create_tables([Job, JobStep, JobUndo, ScheduleRun], safe=False)
