"""Tables of jobs. Rows of a running job change only through jobs/leased_writes.py."""

from __future__ import annotations

from peewee import (
    AutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    FloatField,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from service.db.engine.database import BaseModel, JsonField, UtcField


class Job(BaseModel):
    """Persisted work.

    `term` is incremented at every claim and release: writes with an older term are refused.
    """

    id = CharField(primary_key=True, max_length=36)
    kind = CharField(max_length=63)
    state = CharField(max_length=16)  # queued waiting running succeeded failed cancelled
    phase = CharField(default="", max_length=63)  # name of the running step
    progress = FloatField(default=0.0)  # 0 to 1
    progress_text = TextField(default="")
    reason = TextField(default="")  # of the state "waiting"
    object_kind = CharField(default="", max_length=16)
    object_id = CharField(default="", index=True, max_length=127)  # a pool's is its name
    args = JsonField()
    result = JsonField(null=True)
    outcome = CharField(null=True, max_length=16)  # failed | cancelled, set when its undo begins
    error_code = CharField(null=True, max_length=63)
    error_detail = TextField(null=True)
    actor = CharField(max_length=63)
    request_id = CharField(max_length=64)
    code_version = IntegerField()
    committed = BooleanField(default=False)  # past the point of no return
    cancel_requested = BooleanField(default=False)
    term = IntegerField(default=0)
    attempts = IntegerField(default=0)  # claims
    failures = IntegerField(default=0)  # consecutive, of undo verbs or of steps past the point of no return
    lease_owner = CharField(null=True, max_length=63)
    lease_expires_at = UtcField(null=True)
    wake_at = UtcField(null=True)
    created_at = UtcField()
    started_at = UtcField(null=True)
    finished_at = UtcField(null=True)
    project_id = CharField(null=True, max_length=36)  # None: the cloud's own work

    class Meta:
        indexes = (
            (("state", "created_at"), False),
            (("created_at", "id"), False),
            (("project_id", "created_at", "id"), False),
        )


class JobStep(BaseModel):
    """Named phase of a job. `result` is its encoded value once `finished_at` is set."""

    id = AutoField()
    job_id: str
    job = ForeignKeyField(Job, on_delete="CASCADE", backref="steps")
    name = CharField(max_length=63)
    position = IntegerField()
    result = JsonField(null=True)
    started_at = UtcField()
    finished_at = UtcField(null=True)

    class Meta:
        indexes = ((("job", "name"), True),)


class JobUndo(BaseModel):
    """Undo entry: a verb of the operation and its encoded arguments.

    The highest position is undone first.
    """

    id = AutoField()
    job_id: str
    job = ForeignKeyField(Job, on_delete="CASCADE", backref="undo_entries")
    position = IntegerField()
    verb = CharField(max_length=63)
    args = JsonField()
    done_at = UtcField(null=True)

    class Meta:
        indexes = ((("job", "position"), True),)


class ScheduleRun(BaseModel):
    """Last period (number since 1970) for which a periodic job was enqueued."""

    name = CharField(primary_key=True, max_length=63)
    period = BigIntegerField()
    job_id = CharField(max_length=36)


TABLES = (Job, JobStep, JobUndo, ScheduleRun)
