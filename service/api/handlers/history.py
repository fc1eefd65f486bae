"""Handlers for measurements of VMs and hosts over time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from service.api.models.history import AskPast
from service.db import measurements, queries
from service.db.engine.database import unit_of_work
from service.db.engine.fields import EPOCH
from service.db.measurements import HOSTS, KEPT, VMS, Points, Series
from service.db.tables import Host, Vm
from service.edge.call import Call, Reply
from service.facts.history import HOST_SERIES
from service.json_types import Json
from service.operations.observe import host_usage
from service.views.values import show_time

MOST_POINTS = 1000
DECIMALS_OF: Mapping[str, int] = {"share": 4, "cpus": 3, "ms": 2}  # by unit; the others are whole numbers
DECIMALS = {"cpus": 3} | {one.series: DECIMALS_OF[one.unit] for one in HOST_SERIES if one.unit in DECIMALS_OF}


@dataclass(frozen=True, slots=True)
class Span:
    """Time span in steps of `step_s` seconds, computed from stored steps of `kept_s`."""

    since: datetime
    until: datetime
    step_s: int
    kept_s: int


def of_vm(call: Call[None, AskPast]) -> Reply:
    """Show a VM's resource usage over time."""
    vm = queries.get(Vm, call.ref, call.actor.scope)
    return Reply(_past(call, VMS, vm.id))


def of_host(call: Call[None, AskPast]) -> Reply:
    """Show a host's load over time and its forecast."""
    host = queries.get(Host, call.ref, call.actor.scope)
    outlook = host_usage.outlook_of(call.ctx, host.id, call.ctx.clock.now())
    return Reply({**_past(call, HOSTS, host.id), "outlook": outlook})


def span(asked: AskPast, now: datetime) -> Span:
    """Return the span with the smallest stored step that is not below the requested.

    A larger step is used if there would be more than MOST_POINTS points.
    """
    until = asked.to or now
    since = until - asked.from_ if isinstance(asked.from_, timedelta) else asked.from_
    wanted_s = max(asked.step or 0, math.ceil((until - since).total_seconds() / MOST_POINTS))
    kept = [step_s for step_s, keep in KEPT.items() if now - since <= keep] or [max(KEPT)]
    kept_s = max(step_s for step_s in KEPT if step_s <= max(wanted_s, kept[0]))
    return Span(since, until, math.ceil(max(wanted_s, kept_s) / kept_s) * kept_s, kept_s)


def shown(names: Sequence[str], points: Points) -> list[Mapping[str, Json]]:
    """Return points as JSON data: `at` and one value per name."""
    return [_shown(names, at, row) for at, row in zip(points.times, points.values, strict=True)]


def _past(call: Call[None, AskPast], series: Series, object_id: str) -> Mapping[str, Json]:
    what = span(call.query, call.ctx.clock.now())
    with unit_of_work(call.ctx.measurements):
        points = measurements.points(series, object_id, what.since, what.until, step_s=what.kept_s)
    head = {"since": show_time(what.since), "until": show_time(what.until), "step_s": what.step_s}
    return {**head, "points": _widened(series.names, points, what)}


def _widened(names: Sequence[str], points: Points, what: Span) -> list[Mapping[str, Json]]:
    """Return points of the requested step, each the mean of the stored points in it."""
    if what.step_s == what.kept_s:
        return shown(names, points)
    step, rows = timedelta(seconds=what.step_s), zip(points.times, points.values, strict=True)
    grouped = itertools.groupby(rows, lambda row: -((EPOCH - row[0]) // step))
    return [_shown(names, EPOCH + number * step, _mean([row for _, row in same])) for number, same in grouped]


def _mean(rows: Sequence[Any]) -> Any:
    stacked = np.array(rows)
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _shown(names: Sequence[str], at: datetime, row: Any) -> Mapping[str, Json]:
    values = dict(zip(names, row.tolist(), strict=True))
    return {"at": show_time(at), **{name: _number(name, value) for name, value in values.items()}}


def _number(name: str, value: float) -> float | int | None:
    if math.isnan(value):
        return None
    return round(value, DECIMALS[name]) if name in DECIMALS else round(value)
