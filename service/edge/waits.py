"""Long polls: responses that wait for the end of a job."""

from __future__ import annotations

from service.context import Context
from service.db.engine.database import unit_of_work
from service.edge.slots import Slots
from service.errors import UnavailableError
from service.jobs.views import JobView, job_view, wait_finished


def job_at_its_end(ctx: Context, slots: Slots, job_id: str, wait_s: float, *, is_new: bool) -> JobView:
    """Return the job at its end, or after `wait_s` seconds.

    Raises UnavailableError if no slot is free, except for a new job: the call that created it must succeed, so it
    returns without waiting.
    """
    if wait_s <= 0:
        return _now(ctx, job_id)
    try:
        with slots.one("Too many calls are waiting: repeat the request without 'wait'."):
            return wait_finished(ctx, job_id, wait_s)
    except UnavailableError as error:
        if not is_new or error.code != "service.busy":
            raise
        return _now(ctx, job_id)


def _now(ctx: Context, job_id: str) -> JobView:
    with unit_of_work(ctx.db):
        return job_view(job_id)
