"""Delete old jobs, decisions and events, but not the audit; recount the counters."""

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

KEEP_ROUNDS = timedelta(minutes=10)  # for finished periodic jobs
ROUNDS = (
    *("forecast_usage", "observe_hosts", "observe_storage", "observe_vms"),
    *("restore_vms", "purge_jobs", "sweep_images"),
)


def run(ctx: Context, job: Job) -> None:
    """Delete old rows; steps and undo entries are deleted with their job."""
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
    """Delete jobs that ended before a moment.

    They were also created before it, and that column is in an index.
    """
    old = (JobRow.created_at < before) & (JobRow.finished_at < before)
    JobRow.delete().where(JobRow.state.in_(FINISHED) & old & which).execute()
