"""Every change of a job's state passes here: it becomes an event, and its end is counted."""

from __future__ import annotations

from typing import Any

from service.db import events
from service.db.tables import Tally
from service.jobs.job_context import QUEUE, JobContext
from service.jobs.job_tables import Job

ENDS = ("succeeded", "failed", "cancelled")
WAITS = "waits for job "
ROUNDS_ACTOR = "schedule"  # the service's own rounds: thousands a day that nobody waits for


def job_changed(ctx: JobContext, job_id: str) -> None:
    """Tell what the job's row says now, inside the transaction that changed it."""
    tell(ctx, Job.get_by_id(job_id))


def tell(ctx: JobContext, row: Job) -> None:
    """As job_changed(), of a row that is as it was written."""
    if row.state in ENDS:
        _count(row)
    if row.actor.partition(":")[0] == ROUNDS_ACTOR:
        return
    if row.state in ENDS:
        _wake_who_waits(ctx, row.id)
    elif row.state == "waiting" and row.reason.startswith(WAITS):
        _wake_if_ended_meanwhile(ctx, row.reason.removeprefix(WAITS))
    events.record(
        ctx.clock.now(),
        "job_state",
        object_kind="job",
        object_id=row.id,
        project_id=row.project_id,
        data=_data(row),
    )
    ctx.bell.ring_at_commit(ctx.db, events.EVENTS)


def waits_for(job_id: str) -> str:
    """The reason of a job that waits for another one's end, by which it is found and woken."""
    return WAITS + job_id


def _wake_if_ended_meanwhile(ctx: JobContext, job_id: str) -> None:
    """The other job may have ended between the look at it and the beginning of the wait."""
    if Job.select().where((Job.id == job_id) & Job.state.in_(ENDS)).exists():
        _wake_who_waits(ctx, job_id)


def _wake_who_waits(ctx: JobContext, job_id: str) -> None:
    waiting = (Job.state == "waiting") & (Job.reason == waits_for(job_id))
    if Job.update(wake_at=ctx.clock.now()).where(waiting).execute():
        ctx.bell.ring_at_commit(ctx.db, QUEUE)


def _data(row: Job) -> dict[str, Any]:
    data: dict[str, Any] = {"job_kind": row.kind, "state": row.state, "actor": row.actor}
    if row.object_id:
        data["object"] = {"kind": row.object_kind, "id": row.object_id}
    if row.state == "waiting":
        data["reason"] = row.reason
    if row.error_code:
        data["error"] = {"code": row.error_code, "detail": row.error_detail}
    return data


def _count(row: Job) -> None:
    took_ms = round((row.finished_at - row.created_at).total_seconds() * 1000)
    key = f"{row.kind}:{row.state}"
    Tally.insert(id=key, kind=row.kind, state=row.state, count=1, ms=took_ms).on_conflict(
        conflict_target=[Tally.id], update={Tally.count: Tally.count + 1, Tally.ms: Tally.ms + took_ms}
    ).execute()
