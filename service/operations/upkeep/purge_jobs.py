"""Forget what has been kept for long enough; what the audit says stays. Counters are counted again."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from service.context import Context
from service.db import allocations, events, placements
from service.db.tables import IdempotencyKey
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
        placements.purge(old)
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
