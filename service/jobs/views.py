"""Jobs as values for clients, and the long poll for a job's end."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from service.db.engine.database import unit_of_work
from service.db.engine.prepared import Parameter, Prepared
from service.db.engine.sql_types import Select
from service.db.scope import Scope
from service.errors import NotFoundError
from service.jobs.codec import decode
from service.jobs.job_context import JobContext, job_topic
from service.jobs.job_tables import Job, JobStep, ScheduleRun
from service.json_types import JsonObject

FINISHED = ("succeeded", "failed", "cancelled")
ONE = Prepared(Job, lambda: Job.select().where(Job.id == Parameter("job_id")).limit(1))
STEPS = Prepared(JobStep, lambda: JobStep.select().where(JobStep.job == Parameter("job_id")).order_by(JobStep.position))
POLL_S = 10.0  # a ring is lost if its process is killed before it


@dataclass(frozen=True, slots=True)
class PhaseView:
    """A begun step; `ms` is None while it runs."""

    name: str
    started_at: datetime
    finished_at: datetime | None
    ms: int | None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job at one moment.

    `progress` is 0 to 1; `outcome` is its coming end state while it is being undone.
    """

    id: str
    kind: str
    state: str
    phase: str
    phases: tuple[PhaseView, ...]
    progress: float
    progress_text: str
    reason: str
    object_kind: str
    object_id: str
    args: JsonObject
    result: Any
    outcome: str | None
    error_code: str | None
    error_detail: str | None
    actor: str
    project_id: str | None
    request_id: str
    attempts: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        """True if the job has ended."""
        return self.state in FINISHED


AS_IN_THE_ROW = tuple({field.name for field in fields(JobView)} - {"phases", "args", "result"})


def job_view(job_id: str) -> JobView:
    """Return one job. Inside a unit of work. Raises NotFoundError."""
    row = ONE.first(job_id=job_id)
    if row is None:
        raise NotFoundError(f"there is no job {job_id}", code="job.not_found")
    steps = STEPS.all(job_id=job_id) if row.attempts else []  # a job that was never claimed has none
    return _view(row, tuple(map(_phase, steps)))


def visible_job(job_id: str, scope: Scope) -> JobView:
    """Return one job; one of a project outside the scope raises NotFoundError."""
    view = job_view(job_id)
    if not scope.sees(view.project_id):
        raise NotFoundError(f"there is no job {job_id}", code="job.not_found")
    return view


def visible_jobs(scope: Scope, *, except_kinds: Collection[str] = ()) -> Select[Job]:
    """Return a query of all jobs in the scope; lists add filters, order and page."""
    query = Job.select()
    owned = scope.owns(Job)
    if owned is not None:
        query = query.where(owned)
    return query.where(Job.kind.not_in(list(except_kinds))) if except_kinds else query


def job_views(rows: list[Job]) -> tuple[JobView, ...]:
    """Return jobs with their phases, in the order of the rows."""
    phases: dict[str, list[PhaseView]] = {row.id: [] for row in rows}
    steps: Iterable[JobStep] = JobStep.select().where(JobStep.job.in_(list(phases))).order_by(JobStep.position)
    for step in steps:
        phases[step.job_id].append(_phase(step))
    return tuple(_view(row, tuple(phases[row.id])) for row in rows)


def last_round_at(name: str) -> datetime | None:
    """Return when the schedule last enqueued a periodic job; None if never."""
    round_ = ScheduleRun.get_or_none(ScheduleRun.name == name)
    row = None if round_ is None else Job.get_or_none(Job.id == round_.job_id)
    return None if row is None else row.created_at


def wait_finished(ctx: JobContext, job_id: str, timeout_s: float) -> JobView:
    """Wait up to `timeout_s` for the job's end and return it as it is then.

    Never inside a transaction. Raises NotFoundError.
    """
    deadline = ctx.clock.monotonic() + timeout_s
    with ctx.bell.listen(job_topic(job_id)) as listener:
        while True:
            with unit_of_work(ctx.db):
                view = job_view(job_id)
            left_s = deadline - ctx.clock.monotonic()
            if view.finished or left_s <= 0:
                return view
            listener.wait(min(left_s, POLL_S))


def _phase(step: JobStep) -> PhaseView:
    took = None if step.finished_at is None else round((step.finished_at - step.started_at).total_seconds() * 1000)
    return PhaseView(step.name, step.started_at, step.finished_at, took)


def _view(row: Job, phases: tuple[PhaseView, ...]) -> JobView:
    values = {name: getattr(row, name) for name in AS_IN_THE_ROW}
    return JobView(phases=phases, args=decode(row.args), result=decode(row.result), **values)
