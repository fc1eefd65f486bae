"""Measurements of VMs, in a database of their own: many small writes that nobody else shall wait for.

They may be lost: the next round measures again. So there are no migrations here; what has another shape is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from peewee import BigIntegerField, CharField, CompositeKey, IntegerField, fn

from service.db.database import BaseModel, Database, JsonField, UtcField, bind, open_database, transaction
from service.db.fields import EPOCH

RAW_S, ROLLED_S = 15, 300  # a row stands for so many seconds
KEEP_RAW, KEEP_ROLLED = timedelta(hours=2), timedelta(days=14)
GONE_AFTER = timedelta(minutes=5)
RATES = ("cpu_milli", "memory_bytes", "read_bps", "written_bps", "received_bps", "sent_bps")


class LastMeasure(BaseModel):
    """The newest counters of a VM, as its host told them."""

    vm_id = CharField(primary_key=True, max_length=36)
    project_id = CharField(max_length=36)
    name = CharField(max_length=63)
    host = CharField(max_length=63)
    measured_at = UtcField(index=True)
    statistics = JsonField()


class Sample(BaseModel):
    """A VM over `step_s` seconds up to `at`: thousandths of a CPU, bytes, bytes per second."""

    vm_id = CharField(max_length=36)
    step_s = IntegerField()
    at = UtcField()
    cpu_milli = BigIntegerField()
    memory_bytes = BigIntegerField()
    read_bps = BigIntegerField()
    written_bps = BigIntegerField()
    received_bps = BigIntegerField()
    sent_bps = BigIntegerField()

    class Meta:
        primary_key = CompositeKey("vm_id", "step_s", "at")
        indexes = ((("step_s", "at"), False),)


TABLES = (LastMeasure, Sample)


@dataclass(frozen=True, slots=True)
class Measure:
    """What one look at one VM gave. `statistics` is service.hypervisor.values.DomainStatistics as a dict."""

    vm_id: str
    project_id: str
    name: str
    host: str
    measured_at: datetime
    statistics: Mapping[str, Any]


def open_measurements(url: str) -> Database:
    """The database, not connected yet."""
    db = open_database(url)
    bind(db, TABLES)
    return db


def prepare(db: Database) -> None:
    """Make the tables where they are missing."""
    with transaction(db):
        db.create_tables(TABLES, safe=True)


def record(measures: Iterable[Measure]) -> None:
    """Keep these as the newest, and what they say beside the ones before; inside the caller's transaction."""
    before = {row.vm_id: row for row in LastMeasure.select()}
    for measure in measures:
        last = before.get(measure.vm_id)
        rates = _rates(last, measure) if last is not None else None
        if rates is not None:
            Sample.insert(
                vm_id=measure.vm_id, step_s=RAW_S, at=measure.measured_at, **rates
            ).on_conflict_ignore().execute()
        values = {name: getattr(measure, name) for name in ("project_id", "name", "host", "measured_at")}
        values["statistics"] = dict(measure.statistics)
        LastMeasure.insert(vm_id=measure.vm_id, **values).on_conflict(
            conflict_target=[LastMeasure.vm_id], update=values
        ).execute()


def latest(since: datetime) -> list[LastMeasure]:
    """The newest counters of every VM that was measured since then."""
    return list(LastMeasure.select().where(LastMeasure.measured_at >= since).order_by(LastMeasure.vm_id))


def history(vm_id: str, since: datetime, *, step_s: int) -> list[Sample]:
    """A VM's samples of one step, the oldest first."""
    mine = (Sample.vm_id == vm_id) & (Sample.step_s == step_s) & (Sample.at >= since)
    return list(Sample.select().where(mine).order_by(Sample.at))


def tidy(now: datetime) -> None:
    """Roll up what is old, forget what is older; inside the caller's transaction."""
    _roll_up(now)
    for step_s, keep in ((RAW_S, KEEP_RAW), (ROLLED_S, KEEP_ROLLED)):
        Sample.delete().where((Sample.step_s == step_s) & (Sample.at < now - keep)).execute()
    LastMeasure.delete().where(LastMeasure.measured_at < now - GONE_AFTER).execute()


def _roll_up(now: datetime) -> None:
    """Averages of every whole step that is not rolled up yet."""
    step_us = ROLLED_S * 1_000_000
    last = Sample.select(fn.MAX(Sample.at)).where(Sample.step_s == ROLLED_S).scalar() or EPOCH
    until = EPOCH + (now - EPOCH) // timedelta(seconds=ROLLED_S) * timedelta(seconds=ROLLED_S)
    raw = (Sample.step_s == RAW_S) & (Sample.at > last) & (Sample.at <= until)
    end = fn.MAX(Sample.at)
    bucket = (fn.COALESCE(Sample.at, 0) - 1) / step_us  # as a number, not as an instant
    averaged = (fn.AVG(getattr(Sample, name)) for name in RATES)
    rows = Sample.select(Sample.vm_id, end, *averaged).where(raw).group_by(Sample.vm_id, bucket)
    for vm_id, at, *averages in cast(Any, rows.tuples()):
        values = dict(zip(RATES, (int(value) for value in averages), strict=True))
        Sample.insert(vm_id=vm_id, step_s=ROLLED_S, at=_ceil(at), **values).on_conflict_ignore().execute()


def _ceil(at: datetime) -> datetime:
    step = timedelta(seconds=ROLLED_S)
    return EPOCH + -((EPOCH - at) // step) * step


def _rates(last: LastMeasure, measure: Measure) -> dict[str, int] | None:
    """None where there are none: on another host, or after a new start, the counters began anew."""
    elapsed_s = (measure.measured_at - last.measured_at).total_seconds()
    before, now = _sums(last.statistics), _sums(measure.statistics)
    grown = {name: now[name] - before[name] for name in before}
    if elapsed_s <= 0 or last.host != measure.host or min(grown.values()) < 0:
        return None
    memory = measure.statistics.get("memory") or {}
    rates = {name: round(value / elapsed_s) for name, value in grown.items()}
    return rates | {"memory_bytes": int(memory.get("resident_bytes", 0))}


def _sums(statistics: Mapping[str, Any]) -> dict[str, float]:
    disks, nics = statistics["disks"], statistics["nics"]
    return {
        "cpu_milli": statistics["cpu_time_s"] * 1000,
        "read_bps": sum(disk["read_bytes"] for disk in disks),
        "written_bps": sum(disk["written_bytes"] for disk in disks),
        "received_bps": sum(nic["received_bytes"] for nic in nics),
        "sent_bps": sum(nic["sent_bytes"] for nic in nics),
    }
