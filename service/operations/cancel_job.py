"""Ask for the end of a job: what it did is undone first."""

from __future__ import annotations

from service.context import Context
from service.db.database import transaction
from service.errors import ForbiddenError
from service.jobs import queue
from service.jobs.views import JobView, job_view
from service.operations import audit
from service.operations.actor import Actor


def cancel(ctx: Context, actor: Actor, job_id: str) -> JobView:
    """Cancel the job; users only their own ones. Raises NotFoundError, ForbiddenError, ConflictError."""
    with transaction(ctx.db):
        job = job_view(job_id)
        if actor.role != "admin" and job.actor != actor.name:
            raise ForbiddenError(f"Job {job.id} is {job.actor}'s: ask them, or an admin, to cancel it.")
        audit.record(ctx, actor, "cancel_job", "job", job, job_kind=job.kind)
        return queue.cancel(ctx, job.id)
