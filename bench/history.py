"""The past of a large cloud: a round's measurements, the forecast of all hosts, and how far off the forecast is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bench.comparison import Comparison, Limit
from service.db import measurements
from service.db.engine.database import Database, transaction
from service.db.measurements import HOSTS, Measure
from service.db.measurements.series import keep
from service.db.measurements.tables import HOUR_S, PART, RAW_S, ROLLED_S
from service.hypervisor.values import DiskStatistics, DomainStatistics, MemoryStatistics, NicStatistics
from service.operations.observe import host_usage
from service.placement import forecast

HOW_MANY = 10_000  # hosts, and as many VMs
ROUNDS = 21  # one of them ends five minutes
START = datetime(2030, 1, 20, 12, tzinfo=UTC)
IDS = [f"{number:036d}" for number in range(HOW_MANY)]
Array = NDArray[np.float64]


def run() -> Iterator[Comparison | Limit]:
    """A minute or so."""
    with tempfile.TemporaryDirectory(prefix="nacre-history-") as folder:
        db = measurements.open_measurements(f"sqlite:///{folder}/metrics.db")
        measurements.prepare(db)
        times = sorted(_round(db, number) for number in range(1, ROUNDS + 1))
        case = f"{HOW_MANY} hosts and as many VMs"
        yield Limit("history", f"a round of {case}, worst", "s", times[-1], "lower", RAW_S / 3, len(times))
        _past(db)
        ctx = cast(Any, SimpleNamespace(measurements=db))
        took_s = _timed(lambda: host_usage.outlooks(ctx, START))
        yield Limit("history", f"forecast of {HOW_MANY} hosts", "s", took_s, "lower", 30.0, 1)
    yield from _accuracy()


def _timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _round(db: Database, number: int) -> float:
    now = START - timedelta(days=30) + timedelta(seconds=RAW_S * number)
    measures = [_measure(vm_id, now, number) for vm_id in IDS]
    rows = {host_id: (0.1, 0.2, 3.0, 4.0, 5.0, 6.0) for host_id in IDS}

    def write() -> None:
        with transaction(db):
            measurements.record(measures, now)
            measurements.write(HOSTS, now, rows)
            measurements.tidy(now)

    return _timed(write)


def _measure(vm_id: str, now: datetime, number: int) -> Measure:
    seen = DomainStatistics(
        vm_id=vm_id,
        name=f"nacre-{vm_id}",
        state="running",
        cpu_time_s=number * 6.0,
        vcpu_times_s=(number * 3.0, number * 3.0),
        memory=MemoryStatistics(1 << 30, 1 << 30, 1 << 29, 1 << 30, 1 << 29, 1 << 29),
        disks=(DiskStatistics("vda", number * 4096, number, 0.5, number * 8192, number, 0.5, number, 1 << 34),),
        nics=(NicStatistics("vnet0", number * 100, number, 0, 0, number * 200, number, 0, 0),),
    )
    return Measure(vm_id, vm_id, "web", "host", now, seen)


def _past(db: Database) -> None:
    """Fourteen days of hours and one of five minutes, as they would have been rolled up."""
    chance = np.random.default_rng(1)
    with transaction(db):
        for step_s, steps in ((HOUR_S, forecast.DAYS * 24), (ROLLED_S, 288)):
            for back in range(steps):
                cells = chance.random((HOW_MANY, len(HOSTS.names)), dtype=np.float32)
                parts = {first // PART: cells[first : first + PART] for first in range(0, HOW_MANY, PART)}
                keep(HOSTS, step_s, START - timedelta(seconds=step_s * back), parts)


@dataclass(slots=True)
class _Errors:
    ours: list[float]
    yesterday: list[float]
    last_hour: list[float]


def _accuracy() -> Iterator[Comparison]:
    """How far off the mean of the coming four hours is, beside what is simplest."""
    series, errors = _weeks(), _Errors([], [], [])
    first = forecast.DAYS * 24
    for end in range(first, series.shape[1] - forecast.COMING, 5):
        seen, true = series[:, end - first : end], series[:, end : end + forecast.COMING].mean(axis=1)
        errors.ours.append(float(abs(forecast.outlook(seen).forecast - true).mean()))
        errors.yesterday.append(float(abs(seen[:, -24 : -24 + forecast.COMING].mean(axis=1) - true).mean()))
        errors.last_hour.append(float(abs(seen[:, -1] - true).mean()))
    ours, n = float(np.mean(errors.ours)), len(errors.ours)
    for name, theirs in (("the same hours of yesterday", errors.yesterday), ("the last hour", errors.last_hour)):
        case = f"error of the forecast, beside {name}"
        yield Comparison("history", case, "share of a host", ours, float(np.mean(theirs)), "lower", 0.8, n)


def _weeks(hosts: int = 2000, days: int = 21) -> Array:
    """Hosts with a daily wave, quieter week-ends and noise that lasts for hours."""
    chance, hour = np.random.default_rng(4), np.arange(days * 24)
    base, swing, phase = chance.uniform((0.2, 0.05, 0.0), (0.5, 0.25, 24.0), (hosts, 3)).T[:, :, None]
    quieter = np.where(hour // 24 % 7 >= 5, 0.6, 1.0)
    series = base + swing * np.sin(2 * np.pi * (hour - phase) / 24) * quieter
    drift = np.zeros(hosts)
    for at in hour:
        drift = 0.7 * drift + chance.normal(0, 0.03, hosts)
        series[:, at] += drift
    return np.asarray(np.clip(series, 0.0, 1.0))
