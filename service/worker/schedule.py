"""Periodic jobs. Time is an argument; one job per period, however many workers tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from service.context import Context
from service.db.engine.database import transaction
from service.db.engine.fields import EPOCH
from service.jobs.job_tables import Job, ScheduleRun
from service.jobs.queue import UNFINISHED, enqueue


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job of `kind` in every period of `interval_s` seconds, counted from 1970."""

    name: str
    interval_s: float
    kind: str
    code_version: int
    args: Mapping[str, Any] = field(default_factory=dict)

    def period(self, now: datetime) -> int:
        """The number of the period that `now` is in."""
        return (now - EPOCH) // timedelta(seconds=self.interval_s)

    def next_start(self, now: datetime) -> datetime:
        """When the next period begins."""
        return EPOCH + (self.period(now) + 1) * timedelta(seconds=self.interval_s)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All periodic jobs."""

    periodic: tuple[Periodic, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of its jobs."""
        return frozenset(one.kind for one in self.periodic)

    def tick(self, ctx: Context, now: datetime) -> datetime | None:
        """Enqueue what this moment's periods lack; returns when to tick again (None: never).

        Periods missed while nobody ticked are not made up for, and a period is skipped while the job of the one
        before is unfinished: slow work does not pile up.
        """
        for one in self.periodic:
            _tick_one(ctx, one, now)
        return min((one.next_start(now) for one in self.periodic), default=None)


def _tick_one(ctx: Context, one: Periodic, now: datetime) -> None:
    period = one.period(now)
    with transaction(ctx.db):
        ScheduleRun.insert(name=one.name, period=-1, job_id="").on_conflict_ignore().execute()
        # Two workers' clocks may be one period apart; one that is further behind was set back, and begins anew.
        another = (ScheduleRun.period < period) | (ScheduleRun.period > period + 1)
        if ScheduleRun.update(period=period).where(ScheduleRun.name == one.name, another).execute() != 1:
            return
        last = ScheduleRun.get(ScheduleRun.name == one.name).job_id
        if Job.select().where(Job.id == last, Job.state.in_(UNFINISHED)).exists():
            return
        actor = f"schedule:{one.name}"
        job_id = enqueue(ctx, one.kind, code_version=one.code_version, args=one.args, actor=actor, request_id="-")
        ScheduleRun.update(job_id=job_id).where(ScheduleRun.name == one.name).execute()
