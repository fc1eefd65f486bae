"""Newest counters of every VM, and the rates since the previous ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from service.db.engine.sql_types import Tuples, Values
from service.db.engine.upsert import upsert
from service.db.measurements.series import VMS, write
from service.db.measurements.tables import LastMeasure
from service.hypervisor.values import DomainStatistics
from service.json_types import Json, JsonObject

GONE_AFTER = timedelta(minutes=5)
SUMS = ("cpu_us", "read_bytes", "written_bytes", "received_bytes", "sent_bytes")
MOST = (1 << 63) - 1
COLUMNS = ("vm_id", "project_id", "name", "host", "measured_at", *SUMS, "statistics")
RATES = VMS.names
Last = Values  # host, measured_at, then SUMS


@dataclass(frozen=True, slots=True)
class Measure:
    """One measurement of one VM."""

    vm_id: str
    project_id: str
    name: str
    host: str
    measured_at: datetime
    statistics: DomainStatistics


def record(measures: Iterable[Measure], at: datetime) -> dict[str, float]:
    """Store the newest counters, and their rates as a step that ends at `at`.

    Inside the caller's transaction. Returns host name → CPUs that its VMs used, of VMs with a known rate.
    """
    before = _before()
    rates: dict[str, Sequence[float]] = {}
    used: dict[str, float] = {}
    rows = []
    for measure in measures:
        sums = _sums(measure.statistics)
        rows.append(_row(measure, sums))
        last = before.get(measure.vm_id)
        rate = _rates(last, measure, sums) if last is not None else None
        if rate is not None:
            rates[measure.vm_id] = rate
            used[measure.host] = used.get(measure.host, 0.0) + rate[0]
    write(VMS, at, rates)
    upsert(LastMeasure, COLUMNS, rows)
    return used


def latest(since: datetime) -> list[LastMeasure]:
    """Return the newest counters of every VM that was measured since then."""
    rows = LastMeasure.select().where(LastMeasure.measured_at >= since).order_by(LastMeasure.vm_id)
    return cast(list[LastMeasure], list(rows.namedtuples()))


def _before() -> dict[str, Last]:
    fields = [getattr(LastMeasure, name) for name in ("vm_id", "host", "measured_at", *SUMS)]
    return {row[0]: row[1:] for row in cast("Tuples", LastMeasure.select(*fields).tuples())}


def _row(measure: Measure, sums: Sequence[int]) -> Values:
    """Return a row in the order of COLUMNS."""
    statistics = json.dumps(measure.statistics, default=_members, separators=(",", ":"), allow_nan=False)
    measured_at = LastMeasure.measured_at.db_value(measure.measured_at)
    return (measure.vm_id, measure.project_id, measure.name, measure.host, measured_at, *sums, statistics)


def _members(value: Json) -> JsonObject:
    """Return a part of the statistics as JSON data.

    Ten times as fast as asdict(), which copies every number.
    """
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _rates(last: Last, measure: Measure, sums: Sequence[int]) -> tuple[float, ...] | None:
    """Return rates in the order of RATES; None if the counters were reset.

    They restart on another host and at every start.
    """
    host, measured_at, *before = last
    elapsed_s = (measure.measured_at - measured_at).total_seconds()
    grown = [now - then for now, then in zip(sums, before, strict=True)]
    if elapsed_s <= 0 or host != measure.host or min(grown) < 0:
        return None
    cpu_us, *traffic = grown
    memory = measure.statistics.memory
    resident = float(memory.resident_bytes) if memory else 0.0
    return (cpu_us / 1e6 / elapsed_s, resident, *(value / elapsed_s for value in traffic))


def _sums(seen: DomainStatistics) -> tuple[int, ...]:
    """Return sums in the order of SUMS, limited to what the database can store.

    One VM's impossible counter must not fail the round of all.
    """
    sums = (
        round(seen.cpu_time_s * 1e6),
        sum(disk.read_bytes for disk in seen.disks),
        sum(disk.written_bytes for disk in seen.disks),
        sum(nic.received_bytes for nic in seen.nics),
        sum(nic.sent_bytes for nic in seen.nics),
    )
    return tuple(min(value, MOST) for value in sums)
