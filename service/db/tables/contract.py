"""What the API promises its clients: an answer that can be asked for again, a stream of what happened, exact counts."""

from __future__ import annotations

from peewee import BigAutoField, BigIntegerField, BlobField, CharField, IntegerField

from service.db.engine.database import BaseModel, JsonField, UtcField


class Event(BaseModel):
    """Something that happened. Ids grow in the order of commits: every writer holds the write lock when it gets one."""

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
    """The answer to a POST that was done. `id` is a digest of who asked and of their key, which itself is not kept."""

    id = CharField(primary_key=True, max_length=64)
    created_at = UtcField(index=True)
    fingerprint = CharField(max_length=64)  # of the request, with the key in it
    status = IntegerField()
    location = CharField(null=True, max_length=255)
    job_id = CharField(null=True, max_length=36)
    body = BlobField()  # encrypted: nobody reads it without the key


class Tally(BaseModel):
    """How many jobs of a kind ended how, and how long they took: counts that no purge takes away."""

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
