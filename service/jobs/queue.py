"""The job queue: enqueue, cancel, wake, claim, extend, release.

leased_writes.py has the writes of a lease's holder.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import Expression, fn

from service.db.engine.database import transaction, unit_of_work
from service.db.engine.prepared import insert, insert_all
from service.db.engine.sql_types import Values
from service.errors import ConflictError, NotFoundError
from service.jobs.changes import job_changed, row_changed
from service.jobs.codec import encode
from service.jobs.job_context import QUEUE, JobContext, job_topic
from service.jobs.job_tables import Job, JobStep, JobUndo
from service.jobs.views import JobView, job_view
from service.json_types import Json, JsonObject

UNFINISHED = ("queued", "waiting", "running")
CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Lease:
    """Right to change one job's row, until another worker claims it."""

    job_id: str
    kind: str
    term: int


def enqueue(
    ctx: JobContext,
    kind: str,
    *,
    actor: str,
    request_id: str,
    code_version: int,
    object_kind: str = "",
    object_id: str = "",
    project_id: str | None = None,
    args: Mapping[str, Json] | None = None,
    undo: Sequence[Values] = (),
) -> str:
    """Add a job in the caller's transaction; return its id. The commit wakes workers.

    `undo` holds (verb, *args) for what the caller's transaction claimed: undone last, and also when the job is
    cancelled before it began. Raises CodecError for values that cannot be encoded.
    """
    job_id = ctx.ids.uuid()
    with transaction(ctx.db):
        row = insert(
            Job, id=job_id, kind=kind, state="queued", actor=actor, request_id=request_id, code_version=code_version,
            object_kind=object_kind, object_id=object_id, args=encode(dict(args or {})), created_at=ctx.clock.now(),
            project_id=project_id,
        )  # fmt: skip
        insert_all(
            JobUndo,
            [
                {"job": job_id, "position": position, "verb": verb, "args": encode(values)}
                for position, (verb, *values) in enumerate(undo)
            ],
        )
        row_changed(ctx, row)
        ring_after_commit(ctx, job_id, QUEUE)
    return job_id


def ring_after_commit(ctx: JobContext, job_id: str, *topics: str) -> None:
    """Ring the job's own topic, and others, once this transaction is committed."""
    ctx.bell.ring_at_commit(ctx.db, job_topic(job_id), *topics)


def cancel(ctx: JobContext, job_id: str) -> JobView:
    """Request cancellation of a job.

    With nothing to undo it is cancelled at once, otherwise a worker undoes it first. Raises NotFoundError, and
    ConflictError when the job has ended or is past its point of no return.
    """
    with transaction(ctx.db):
        job = _row(job_id)
        if job.state not in UNFINISHED:
            raise ConflictError(f"job {job_id} has already {job.state}", code="job.finished")
        if job.committed:
            raise ConflictError(f"job {job_id} can no longer be undone: wait for its end", code="job.past_no_return")
        if _cancel_row(job, ctx.clock.now()):
            job_changed(ctx, job.id)
        ring_after_commit(ctx, job_id, QUEUE)
        return job_view(job_id)


def _cancel_row(job: Job, now: datetime) -> bool:
    """Mark the row as to be cancelled; return True if that ended the job."""
    changes: JsonObject = {"cancel_requested": True}
    if job.state != "running" and not _has_traces(job.id):
        changes |= {"state": "cancelled", "finished_at": now, "wake_at": None, "reason": ""}
        changes |= {"error_code": "job.cancelled", "error_detail": "cancelled on request"}
    elif job.state == "waiting":
        changes |= {"wake_at": now}
    Job.update(**changes).where(Job.id == job.id).execute()
    return "state" in changes


def _has_traces(job_id: str) -> bool:
    return any(table.select().where(table.job == job_id).exists() for table in (JobStep, JobUndo))


def wake(ctx: JobContext, job_id: str) -> None:
    """Make a waiting job due now; does nothing if it is not waiting."""
    with transaction(ctx.db):
        Job.update(wake_at=ctx.clock.now()).where(Job.id == job_id, Job.state == "waiting").execute()
        ring_after_commit(ctx, job_id, QUEUE)


def claim(
    ctx: JobContext, worker_id: str, kinds: Collection[str], *, lease_s: float, running: Collection[str] = ()
) -> Lease | None:
    """Claim the oldest job that may run now; None when there is none.

    `running` are the worker's own jobs, never claimed twice. Of any number of workers exactly one gets a job: the
    update is conditional on the state and the term that were read.
    """
    now = ctx.clock.now()
    may_run = _claimable(now, running) & Job.kind.in_(list(kinds))
    with unit_of_work(ctx.db):
        seen = Job.select(Job.id, Job.kind, Job.term).where(may_run).order_by(Job.created_at, Job.id).limit(CANDIDATES)
        for job in list(seen):
            changes = _claimed_by(worker_id, now, lease_s)
            with transaction(ctx.db):
                won = Job.update(**changes).where(may_run, Job.id == job.id, Job.term == job.term).execute()
                if won:
                    job_changed(ctx, job.id)
                ring_after_commit(ctx, job.id)
            if won:
                return Lease(job.id, job.kind, job.term + 1)
    return None


def _claimable(now: datetime, running: Collection[str]) -> Expression:
    return (
        (Job.state == "queued")
        | ((Job.state == "waiting") & (Job.wake_at <= now))
        | ((Job.state == "running") & (Job.lease_expires_at <= now) & Job.id.not_in(list(running)))
    )


def _claimed_by(worker_id: str, now: datetime, lease_s: float) -> JsonObject:
    return {
        "state": "running",
        "term": Job.term + 1,
        "attempts": Job.attempts + 1,
        "lease_owner": worker_id,
        "lease_expires_at": now + timedelta(seconds=lease_s),
        "wake_at": None,
        "reason": "",
        "started_at": fn.COALESCE(Job.started_at, Job.started_at.db_value(now)),
    }


def next_due(kinds: Collection[str], running: Collection[str]) -> datetime | None:
    """Return when the next waiting job or expired lease is claimable; None if never."""
    known = Job.kind.in_(list(kinds))
    waiting = Job.select(fn.MIN(Job.wake_at)).where(known, Job.state == "waiting").scalar()
    held = known & (Job.state == "running") & Job.id.not_in(list(running))
    expires = Job.select(fn.MIN(Job.lease_expires_at)).where(held).scalar()
    return min((moment for moment in (waiting, expires) if moment is not None), default=None)


def extend(ctx: JobContext, leases: Collection[Lease], *, lease_s: float) -> None:
    """Extend these leases to `lease_s` from now; one that was lost stays lost."""
    with transaction(ctx.db):
        for lease in leases:
            mine = (Job.id == lease.job_id) & (Job.term == lease.term) & (Job.state == "running")
            Job.update(lease_expires_at=ctx.clock.now() + timedelta(seconds=lease_s)).where(mine).execute()


def release_all(ctx: JobContext, worker_id: str) -> int:
    """Return an exited worker's jobs to the queue; returns their number.

    Only with the proof that its process has exited.
    """
    with transaction(ctx.db):
        held = [row.id for row in Job.select(Job.id).where(Job.state == "running", Job.lease_owner == worker_id)]
        Job.update(state="queued", lease_owner=None, lease_expires_at=None).where(Job.id.in_(held)).execute()
        for job_id in held:
            job_changed(ctx, job_id)
        ctx.bell.ring_at_commit(ctx.db, QUEUE)
    return len(held)


def end_all(ctx: JobContext, code: str, detail: str) -> list[JobView]:
    """End every job as failed, without undoing, and return them.

    Only while no worker runs.
    """
    changes = {"state": "failed", "error_code": code, "error_detail": detail, "finished_at": ctx.clock.now()}
    with transaction(ctx.db):
        under_way = [row.id for row in Job.select(Job.id).where(Job.state.in_(UNFINISHED))]
        JobUndo.delete().where(JobUndo.job.in_(under_way)).execute()
        gone = {"wake_at": None, "lease_owner": None, "lease_expires_at": None}
        Job.update(**changes, **gone).where(Job.id.in_(under_way)).execute()
        for job_id in under_way:
            job_changed(ctx, job_id)
        return [job_view(job_id) for job_id in under_way]


def _row(job_id: str) -> Job:
    job = Job.get_or_none(Job.id == job_id)
    if job is None:
        raise NotFoundError(f"there is no job {job_id}", code="job.not_found")
    return job
