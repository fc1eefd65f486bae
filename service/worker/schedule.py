"""Periodic jobs: one job per period, whatever the number of workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.context import Context
from service.db.engine.database import transaction
from service.db.engine.fields import EPOCH
from service.jobs.job_tables import Job, ScheduleRun
from service.jobs.queue import UNFINISHED, enqueue
from service.json_types import Json


@dataclass(frozen=True, slots=True)
class Periodic:
    """Periodic job: entry of `kind` in every `interval_s` seconds, counted from 1970."""

    name: str
    interval_s: float
    kind: str
    code_version: int
    args: Mapping[str, Json] = field(default_factory=dict)

    def period(self, now: datetime) -> int:
        """Return the number of the period that `now` is in."""
        return (now - EPOCH) // timedelta(seconds=self.interval_s)

    def next_start(self, now: datetime) -> datetime:
        """Return when the next period begins."""
        return EPOCH + (self.period(now) + 1) * timedelta(seconds=self.interval_s)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The service's periodic jobs."""

    periodic: tuple[Periodic, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of its jobs."""
        return frozenset(entry.kind for entry in self.periodic)

    def tick(self, ctx: Context, now: datetime) -> datetime | None:
        """Enqueue the jobs due now; return when to tick again (None: never).

        Periods missed while no worker ran are skipped, and so is a period whose predecessor's job is unfinished, so
        that slow jobs do not queue up.
        """
        for entry in self.periodic:
            _tick_entry(ctx, entry, now)
        return min((entry.next_start(now) for entry in self.periodic), default=None)


def _tick_entry(ctx: Context, entry: Periodic, now: datetime) -> None:
    period = entry.period(now)
    with transaction(ctx.db):
        ScheduleRun.insert(name=entry.name, period=-1, job_id="").on_conflict_ignore().execute()
        # Two workers' clocks may be entry period apart; a clock further behind was set back: count from it again.
        another = (ScheduleRun.period < period) | (ScheduleRun.period > period + 1)
        if ScheduleRun.update(period=period).where(ScheduleRun.name == entry.name, another).execute() != 1:
            return
        last = ScheduleRun.get(ScheduleRun.name == entry.name).job_id
        if Job.select().where(Job.id == last, Job.state.in_(UNFINISHED)).exists():
            return
        actor = f"schedule:{entry.name}"
        job_id = enqueue(ctx, entry.kind, code_version=entry.code_version, args=entry.args, actor=actor, request_id="-")
        ScheduleRun.update(job_id=job_id).where(ScheduleRun.name == entry.name).execute()
