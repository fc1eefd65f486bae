"""What hosts really use: their series in the database of measurements, and `host.usage`, which decisions look at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from service.context import Context
from service.db import change_counter, measurements
from service.db.engine.bulk import batches, set_each
from service.db.engine.database import unit_of_work
from service.db.measurements import DAY_S, HOSTS, HOUR_S, ROLLED_S, gridded
from service.db.tables import Host
from service.facts.fact import facts_of
from service.facts.history import HOST_SERIES, Recorded
from service.facts.host import HostUsage
from service.jobs.job import Job
from service.json_types import Json, JsonObject
from service.placement import forecast

AT_ONCE = 200  # hosts of a transaction: no writer waits long behind one
A_MINUTE = timedelta(minutes=1)
STEPS_OF_A_DAY, HOURS_OF_THE_PAST = DAY_S // ROLLED_S, forecast.DAYS * forecast.HOURS
SHARES = tuple(one.name for one in facts_of(HostUsage) if one.about.unit == "share")
SIZES = tuple(one.name for one in facts_of(HostUsage) if one.about.unit == "mib")  # of the load, as it is now
SHARE_MOVED, SIZE_MOVED = 0.02, 0.02  # less is noise, and not worth another look at the host
Usage = Mapping[str, float | int | None]


def samples(
    ctx: Context, hosts: Iterable[Host], guest_cpus: Mapping[str, float], now: datetime
) -> dict[str, Sequence[float]]:
    """Host id → its numbers in the order of HOSTS.names, of the hosts that were seen lately."""
    trusted = now - timedelta(seconds=ctx.settings.facts_max_age_s)
    rows: dict[str, Sequence[float]] = {}
    for host in hosts:
        if host.observed_at is None or host.observed_at < trusted or host.problem is not None:
            continue
        rows[host.id] = [_number(_recorded(host, one, guest_cpus)) for one in HOST_SERIES]
    return rows


def _recorded(host: Host, one: Recorded, guest_cpus: Mapping[str, float]) -> object:
    if one.column is None:
        return guest_cpus.get(host.name)
    return (getattr(host, one.column) or {}).get(one.fact)


def freshen(ctx: Context, job: Job, hosts: Sequence[Host], now: datetime) -> None:
    """What changes by the minute: Ceph's CPU, memory used and what KSM saves."""
    with unit_of_work(ctx.measurements):
        sheet = measurements.sheet(HOSTS, "ceph_cpu", now - A_MINUTE, now, step_s=measurements.RAW_S)
    ceph = dict(zip(sheet.ids, forecast.average(sheet.values.astype(float)).tolist(), strict=True))
    news = {host.id: _now(host.facts or {}, ceph.get(host.id, math.nan)) for host in hosts if host.facts is not None}
    before = {host.id: host.usage for host in hosts}
    keep(job, {host_id: usage for host_id, usage in news.items() if moved(before[host_id], usage)}, now)


def keep(job: Job, news: Mapping[str, Usage], now: datetime) -> None:
    """Write these parts of `host.usage`; a host that is not much different stays as it is."""
    for some in batches(sorted(news), AT_ONCE):
        with job.transaction():
            rows = Host.select(Host.id, Host.usage).where(Host.id.in_(some))
            changed = {row.id: {**(row.usage or {}), **news[row.id]} for row in rows if moved(row.usage, news[row.id])}
            if changed:
                set_each(Host, Host.usage, changed)
                Host.update(usage_observed_at=now).where(Host.id.in_(list(changed))).execute()
                change_counter.touch(changed)


def moved(before: Usage | None, now: Usage) -> bool:
    """Whether one of these numbers is worth writing down."""
    return any(_is_other(name, (before or {}).get(name), value) for name, value in now.items())


def outlooks(ctx: Context, now: datetime) -> dict[str, Usage]:
    """Host id → average and peak of the last day, forecast of the coming hours, None where too little is known."""
    with unit_of_work(ctx.measurements):
        day = measurements.sheet(HOSTS, "cpu", now - timedelta(days=1), now, step_s=ROLLED_S)
        past = measurements.sheet(HOSTS, "cpu", now - timedelta(days=forecast.DAYS), now, step_s=HOUR_S)
    day_grid = gridded(day.times, day.values, now, steps=STEPS_OF_A_DAY, step_s=ROLLED_S)
    past_grid = gridded(past.times, past.values, now, steps=HOURS_OF_THE_PAST, step_s=HOUR_S)
    average, peak, coming = forecast.average(day_grid), forecast.peak(day_grid), forecast.outlook(past_grid).forecast
    forecasts = dict(zip(past.ids, coming.tolist(), strict=True))
    return {
        host_id: {
            "cpu_average": _share(mean),
            "cpu_peak": _share(high),
            "cpu_forecast": _share(forecasts.get(host_id, math.nan)),
        }
        for host_id, mean, high in zip(day.ids, average.tolist(), peak.tolist(), strict=True)
    }


def outlook_of(ctx: Context, host_id: str, now: datetime) -> JsonObject:
    """As outlooks(), of one host, with its trend and the pattern of its day (0 to 23 o'clock UTC)."""
    with unit_of_work(ctx.measurements):
        day = measurements.points(HOSTS, host_id, now - timedelta(days=1), now, step_s=ROLLED_S)
        past = measurements.points(HOSTS, host_id, now - timedelta(days=forecast.DAYS), now, step_s=HOUR_S)
    day_grid = gridded(day.times, day.values.T[:1], now, steps=STEPS_OF_A_DAY, step_s=ROLLED_S)
    past_grid = gridded(past.times, past.values.T[:1], now, steps=HOURS_OF_THE_PAST, step_s=HOUR_S)
    seen = forecast.outlook(past_grid)
    trend = float(seen.trend_per_day[0])
    pattern = np.roll(seen.pattern[0], now.hour)  # its first is the hour that now is in
    return {
        "cpu_average": _share(float(forecast.average(day_grid)[0])),
        "cpu_peak": _share(float(forecast.peak(day_grid)[0])),
        "cpu_forecast": _share(float(seen.forecast[0])),
        "cpu_trend_per_day": None if math.isnan(trend) else round(trend, 5),
        "cpu_pattern": [_share(value) for value in pattern.tolist()],
    }


def _now(facts: Mapping[str, Json], ceph_cpu: float) -> Usage:
    return {
        "ceph_cpu": _share(ceph_cpu),
        **{name: _size(facts.get(name)) for name in SIZES},
    }


def _is_other(name: str, before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(now - before) >= (SHARE_MOVED if name in SHARES else max(1.0, SIZE_MOVED * abs(before)))


def _share(value: float) -> float | None:
    return None if math.isnan(value) else round(min(1.0, max(0.0, value)), 4)


def _size(value: object) -> int | None:
    number = _number(value)
    return round(number) if number >= 0 else None


def _number(value: object) -> float:
    """Return the value as a number; anything else is no data."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan
