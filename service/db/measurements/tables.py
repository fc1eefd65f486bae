"""Tables of measurements.

A block has many objects at one moment, so that a round of 10,000 objects is a few rows.
"""

from __future__ import annotations

from datetime import timedelta

from peewee import BigIntegerField, BlobField, CharField, CompositeKey, IntegerField, TextField

from service.db.engine.database import BaseModel, JsonField, UtcField

SHAPE = 2  # version of the tables; those of another version are dropped
RAW_S, ROLLED_S, HOUR_S, DAY_S = 15, 300, 3600, 86400
# Retention by step: with these an object takes at most 14,112 steps of 4 bytes for each of its numbers.
KEPT = {RAW_S: timedelta(hours=2), ROLLED_S: timedelta(days=14), HOUR_S: timedelta(days=400)}
PART = 256  # objects in a block
AT_ONCE = 1000  # rows of a statement: of 11 values at most, and PostgreSQL takes 65,535


class Shape(BaseModel):
    """Version of the tables, in one row."""

    number = IntegerField(primary_key=True)


class LastMeasure(BaseModel):
    """Newest counters of a VM, as reported by its host, and the sums for rates."""

    vm_id = CharField(primary_key=True, max_length=36)
    project_id = CharField(max_length=36)
    name = CharField(max_length=63)
    host = CharField(max_length=63)
    measured_at = UtcField(index=True)
    statistics = JsonField()
    cpu_us = BigIntegerField()
    read_bytes = BigIntegerField()
    written_bytes = BigIntegerField()
    received_bytes = BigIntegerField()
    sent_bytes = BigIntegerField()


class Tracked(BaseModel):
    """Owner of a place in its kind's blocks, null if free; since `since`."""

    kind = CharField(max_length=8)
    place = IntegerField()
    object_id = CharField(null=True, max_length=36)
    since = UtcField()

    class Meta:
        primary_key = CompositeKey("kind", "place")
        indexes = ((("kind", "object_id"), True),)


class Block(BaseModel):
    """Values of the objects at places `part` * PART …, for `step_s` seconds to `at`.

    `cells` are little-endian 4-byte floats: `row_bytes` for each object, one number for each of `names` (separated by
    commas); NaN is no data. Places after the last measured object are left out.
    """

    kind = CharField(max_length=8)
    step_s = IntegerField()
    part = IntegerField()
    at = UtcField()
    names = TextField()
    row_bytes = IntegerField()
    cells = BlobField()

    class Meta:
        primary_key = CompositeKey("kind", "step_s", "part", "at")
        indexes = ((("kind", "step_s", "at"), False),)


class ProcessMeters(BaseModel):
    """Metrics of a process that Prometheus cannot scrape."""

    process = CharField(primary_key=True, max_length=127)
    at = UtcField()
    families = JsonField()


TABLES = (Shape, LastMeasure, Tracked, Block, ProcessMeters)
