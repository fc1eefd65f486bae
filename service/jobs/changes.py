"""Events and counters of job state changes."""

from __future__ import annotations

from service.db import events
from service.db.tables import Tally
from service.jobs.job_context import QUEUE, JobContext
from service.jobs.job_tables import Job
from service.json_types import JsonObject

ENDS = ("succeeded", "failed", "cancelled")
WAITS = "waits for job "
ROUNDS_ACTOR = "schedule"  # periodic jobs: thousands a day, so they make no events


def job_changed(ctx: JobContext, job_id: str) -> None:
    """Record the job's new state as an event, inside the transaction that changed it."""
    row_changed(ctx, Job.get_by_id(job_id))


def row_changed(ctx: JobContext, row: Job) -> None:
    """Do as job_changed() for a row that is already in memory as written."""
    if row.state in ENDS:
        _count(row)
    if row.actor.partition(":")[0] == ROUNDS_ACTOR:
        return
    if row.state in ENDS:
        _wake_waiting(ctx, row.id)
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
    """Return the reason of a job that waits for the end of another.

    By this reason it is found and woken.
    """
    return WAITS + job_id


def _wake_if_ended_meanwhile(ctx: JobContext, job_id: str) -> None:
    """Wake the job at once if the other one ended before the wait was recorded."""
    if Job.select().where((Job.id == job_id) & Job.state.in_(ENDS)).exists():
        _wake_waiting(ctx, job_id)


def _wake_waiting(ctx: JobContext, job_id: str) -> None:
    waiting = (Job.state == "waiting") & (Job.reason == waits_for(job_id))
    if Job.update(wake_at=ctx.clock.now()).where(waiting).execute():
        ctx.bell.ring_at_commit(ctx.db, QUEUE)


def _data(row: Job) -> JsonObject:
    data: JsonObject = {"job_kind": row.kind, "state": row.state, "actor": row.actor}
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
