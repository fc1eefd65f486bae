"""Events, idempotency keys and counts of ended jobs."""

from __future__ import annotations

from peewee import BigAutoField, BigIntegerField, BlobField, CharField, IntegerField

from service.db.engine.database import BaseModel, JsonField, UtcField


class Event(BaseModel):
    """An event. Ids grow in the order of commits.

    Every writer holds the write lock when it gets an id.
    """

    id = BigAutoField()
    created_at = UtcField(index=True)
    kind = CharField(max_length=63)
    object_kind = CharField(max_length=16)
    object_id = CharField(max_length=127)
    project_id = CharField(null=True, max_length=36)  # None: the cloud's own
    data = JsonField()

    class Meta:
        indexes = ((("project_id", "id"), False),)


class IdempotencyKey(BaseModel):
    """The answer to a completed POST.

    `id` is a digest of the actor and its key; the key itself is not stored.
    """

    id = CharField(primary_key=True, max_length=64)
    created_at = UtcField(index=True)
    fingerprint = CharField(max_length=64)  # of the request, with the key in it
    status = IntegerField()
    location = CharField(null=True, max_length=255)
    job_id = CharField(null=True, max_length=36)
    body = BlobField()  # encrypted with a key that is not stored


class Tally(BaseModel):
    """Number and total duration of ended jobs, by kind and state; never purged."""

    id = CharField(primary_key=True, max_length=127)  # <kind>:<state>
    kind = CharField(max_length=63)
    state = CharField(max_length=16)
    count = BigIntegerField(default=0)
    ms = BigIntegerField(default=0)


TABLES = (
    Event,
    IdempotencyKey,
    Tally,
)
