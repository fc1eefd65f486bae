"""Objects with an unfinished job: other requests may not change them meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from service.errors import ConflictError
from service.jobs.job_tables import Job
from service.jobs.views import FINISHED

AT_ONCE = 500  # objects named in one statement
ASKING = "apply_vm"  # it only requests other operations, which check for themselves


def check_idle(kind: str, object_id: str, name: str, *, with_asking: bool = False) -> None:
    """Raise ConflictError (`<kind>.busy`) while a job on the object is unfinished.

    A job that only requests one change after the other (apply_vm) counts only if `with_asking`.
    """
    at_work = (Job.object_id == object_id) & Job.state.not_in(FINISHED)
    job = Job.get_or_none(at_work if with_asking else at_work & (Job.kind != ASKING))
    if job is not None:
        raise ConflictError(
            f"{kind} '{name}' is busy: job {job.id} ({job.kind}) is {job.state}. Wait for it or cancel it.",
            code=f"{kind}.busy",
        )


def waits_for_guest(object_id: str) -> bool:
    """Return True if the VM's only work is the undo of an attachment.

    The guest may refuse that for ever.
    """
    unfinished = (Job.object_id == object_id) & Job.state.not_in(FINISHED) & (Job.kind != ASKING)
    jobs = list(Job.select(Job.kind, Job.state, Job.outcome).where(unfinished))
    return bool(jobs) and all((job.kind, job.state) == ("attach_disk", "waiting") and job.outcome for job in jobs)


def job_at_work(object_id: str) -> str | None:
    """Return the oldest unfinished job on the object; None when it is idle."""
    at_work = (Job.object_id == object_id) & Job.state.not_in(FINISHED)
    job = Job.select(Job.id).where(at_work).order_by(Job.created_at, Job.id).first()
    return None if job is None else str(job.id)


def busy_among(object_ids: Iterable[str], *, since: datetime) -> frozenset[str]:
    """Return the objects with a job that is unfinished or ended after `since`."""
    ids, busy = sorted(object_ids), set[str]()
    at_work = Job.state.not_in(FINISHED) | (Job.finished_at >= since)
    for first in range(0, len(ids), AT_ONCE):
        some = Job.object_id.in_(ids[first : first + AT_ONCE])
        busy.update(row.object_id for row in Job.select(Job.object_id).where(some & at_work))
    return frozenset(busy)


def busy_ids(*, since: datetime | None = None) -> frozenset[str]:
    """Return the ids of all objects with an unfinished job.

    With `since`, also of those with one that ended after that moment.
    """
    at_work = Job.state.not_in(FINISHED)
    if since is not None:
        at_work |= Job.finished_at >= since
    return frozenset(row.object_id for row in Job.select(Job.object_id).where(at_work & (Job.object_id != "")))
