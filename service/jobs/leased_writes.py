"""Writes of a lease's holder, each conditional on the term."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from service.db.engine.database import transaction
from service.jobs.changes import job_changed
from service.jobs.errors import LostLeaseError
from service.jobs.job_context import QUEUE, JobContext
from service.jobs.job_tables import Job, JobUndo
from service.jobs.queue import Lease, ring_after_commit
from service.json_types import Json, JsonObject

UNLEASED: JsonObject = {"lease_owner": None, "lease_expires_at": None}


@contextmanager
def held(ctx: JobContext, lease: Lease, *topics: str, **changes: object) -> Iterator[None]:
    """Begin a transaction by updating, and so locking, the job's row.

    Raises LostLeaseError.
    """
    with transaction(ctx.db):
        mine = (Job.id == lease.job_id) & (Job.term == lease.term) & (Job.state == "running")
        if Job.update(**{"term": lease.term, **changes}).where(mine).execute() != 1:
            raise LostLeaseError(f"job {lease.job_id}: term {lease.term} is over")
        if "state" in changes:
            job_changed(ctx, lease.job_id)
        ring_after_commit(ctx, lease.job_id, *topics)
        yield


def release(ctx: JobContext, lease: Lease) -> None:
    """Return the job to the queue: another worker resumes it."""
    with held(ctx, lease, QUEUE, state="queued", **UNLEASED):
        pass


def park(ctx: JobContext, lease: Lease, reason: str, wake_at: datetime | None, *, failures: int) -> None:
    """Make the job wait until `wake_at`, or until it is woken."""
    with held(ctx, lease, QUEUE, state="waiting", reason=reason, wake_at=wake_at, failures=failures, **UNLEASED):
        pass


def begin_undo(ctx: JobContext, lease: Lease, outcome: str, code: str, detail: str) -> None:
    """Switch the job to undoing; it ends as `outcome`: failed or cancelled."""
    with held(ctx, lease, outcome=outcome, error_code=code, error_detail=detail, phase="undo", failures=0):
        pass


def mark_undone(ctx: JobContext, lease: Lease, entry: JobUndo) -> None:
    """Mark one entry as undone."""
    with held(ctx, lease, failures=0):
        JobUndo.update(done_at=ctx.clock.now()).where(JobUndo.id == entry.id).execute()


def succeed(ctx: JobContext, lease: Lease, result: Json) -> None:
    """End the job as succeeded with an encoded result, and delete its undo entries."""
    now = ctx.clock.now()
    with held(ctx, lease, state="succeeded", result=result, progress=1.0, phase="", finished_at=now, **UNLEASED):
        JobUndo.delete().where(JobUndo.job == lease.job_id).execute()


def end(ctx: JobContext, lease: Lease, state: str, **changes: object) -> None:
    """End a job that did not succeed: failed or cancelled."""
    with held(ctx, lease, state=state, finished_at=ctx.clock.now(), **UNLEASED, **changes):
        pass
