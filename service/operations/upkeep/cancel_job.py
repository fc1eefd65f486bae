"""Cancel a job: what it did is undone."""

from __future__ import annotations

from service.context import Context
from service.db.engine.database import transaction
from service.db.people import SEES_EVERYTHING
from service.errors import ForbiddenError
from service.jobs import queue
from service.jobs.views import JobView, visible_job
from service.operations import audit
from service.operations.actor import Actor


def cancel(ctx: Context, actor: Actor, job_id: str) -> JobView:
    """Cancel the job; users may cancel only their own.

    Raises NotFoundError, ForbiddenError, ConflictError.
    """
    with transaction(ctx.db):
        job = visible_job(job_id, actor.scope)
        if actor.role not in SEES_EVERYTHING and job.actor != actor.name:
            raise ForbiddenError(f"Job {job.id} belongs to {job.actor}: ask them, or an admin, to cancel it.")
        cancelled = queue.cancel(ctx, job.id)
        audit.record(ctx, actor, "cancel_job", "job", job, job_kind=job.kind)
        return cancelled
