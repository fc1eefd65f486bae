"""Handlers for jobs."""

from __future__ import annotations

from service.api.models.jobs import ListJobs
from service.edge import paging
from service.edge.call import Accepted, Call, Reply
from service.edge.models import Waiting
from service.jobs.job_tables import Job
from service.jobs.views import job_views, visible_job, visible_jobs
from service.json_types import JsonObject
from service.operations.upkeep import cancel_job
from service.operations.upkeep.purge_jobs import ROUNDS
from service.views.jobs import show_job


def list_(call: Call[None, ListJobs]) -> Reply:
    """List jobs, newest first; `rounds=true` includes the service's periodic jobs."""
    rounds = call.query.rounds
    found = visible_jobs(call.actor.scope, except_kinds=() if rounds else ROUNDS)
    found = paging.equal(call, found, state=Job.state, kind=Job.kind, object_id=Job.object_id)
    return paging.page(call, found, key=Job.id, sorts={"created_at": Job.created_at}, show=_shown)


def show(call: Call[None, Waiting]) -> Accepted:
    """Show a job; with `wait`, after it has ended or that many seconds have passed."""
    return Accepted(visible_job(call.ref, call.actor.scope).id, is_new=False)


def cancel(call: Call) -> Reply:
    """Cancel a job: the steps done so far are undone."""
    return Reply(show_job(cancel_job.cancel(call.ctx, call.actor, call.ref)), status=202)


def _shown(rows: list[Job]) -> list[JsonObject]:
    return [show_job(view) for view in job_views(rows)]
