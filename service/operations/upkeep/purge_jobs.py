"""Forget what has been kept for long enough; what the audit says stays. Counters are counted again."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from peewee import fn

from service.context import Context
from service.db import allocations, events
from service.db.tables import IdempotencyKey, Placement, Vm
from service.jobs.job import Job
from service.jobs.job_tables import Job as JobRow
from service.jobs.operation import Operation
from service.jobs.views import FINISHED

log = structlog.get_logger(__name__)

KEEP_ROUNDS = timedelta(minutes=10)  # nobody asks for last hour's looks
ROUNDS = (
    *("forecast_usage", "observe_hosts", "observe_storage", "observe_vms"),
    *("restore_vms", "purge_jobs", "sweep_images"),
)


def run(ctx: Context, job: Job) -> None:
    """Steps and undo entries go with their job."""
    now, settings = ctx.clock.now(), ctx.settings
    old = now - timedelta(days=settings.history_days)
    with job.transaction():
        _forget_jobs(now - KEEP_ROUNDS, JobRow.kind.in_(ROUNDS))
        _forget_jobs(old, JobRow.kind.not_in(ROUNDS))
        _forget_placements(old)
        old_keys = IdempotencyKey.created_at < now - timedelta(hours=settings.idempotency_hours)
        IdempotencyKey.delete().where(old_keys).execute()
        events.purge(old, keep_at_most=settings.max_events)
        wrong = allocations.recount()
    if wrong:
        log.error("allocations.recounted", hosts=wrong)


OPERATION = Operation(kind="purge_jobs", run=run, steps_version=1)


def _forget_jobs(before: datetime, which: object) -> None:
    """What was finished before some moment was also made before it, and that is in an index."""
    old = (JobRow.created_at < before) & (JobRow.finished_at < before)
    JobRow.delete().where(JobRow.state.in_(FINISHED) & old & which).execute()


def _forget_placements(before: datetime) -> None:
    """The last decision about a VM that is still there is kept: people ask why it is where it is."""
    last = (
        Placement.select(fn.MAX(Placement.created_at)).join(Vm, on=(Vm.id == Placement.vm_id)).group_by(Placement.vm_id)
    )
    gone = Placement.vm_id.not_in(Vm.select(Vm.id))
    Placement.delete().where((Placement.created_at < before) & (gone | Placement.created_at.not_in(last))).execute()
