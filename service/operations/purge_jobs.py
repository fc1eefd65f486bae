"""Forget the finished jobs of the service's own rounds: nobody asks for last hour's looks."""

from __future__ import annotations

from datetime import timedelta

from service.context import Context
from service.jobs.job import Job
from service.jobs.job_tables import Job as JobRow
from service.jobs.operation import Operation
from service.jobs.views import FINISHED

KEEP = timedelta(minutes=10)
ROUNDS = ("observe_hosts", "observe_storage", "restore_vms", "purge_jobs")


def run(ctx: Context, job: Job) -> None:
    """Steps and undo entries go with their job."""
    with job.transaction():
        old = JobRow.finished_at < ctx.clock.now() - KEEP
        JobRow.delete().where(JobRow.kind.in_(ROUNDS) & JobRow.state.in_(FINISHED) & old).execute()


OPERATION = Operation(kind="purge_jobs", run=run, steps_version=1)
