"""Models of jobs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from service.edge.models import Flag, Id, Instant, JobState, ListByTime, Ref, Shown


class ListJobs(ListByTime):
    """Filters of the list of jobs."""

    state: JobState | None = None
    object_id: Ref | None = None
    kind: Ref | None = None
    rounds: Flag = Field(default=False, description="Include the service's periodic jobs.")


class ShownPhase(Shown):
    """Step of a job; `ms` is null while it runs."""

    name: str
    started_at: Instant
    ms: int | None


class ShownObject(Shown):
    """Object that a job works on."""

    kind: str
    id: str


class ShownJobError(Shown):
    """Error of a failed job: a stable code and a sentence."""

    code: str
    detail: str | None


class ShownJob(Shown):
    """Job with its phases; `progress` is 0 to 1."""

    is_job = True

    id: Id
    kind: str
    state: JobState
    reason: str | None
    phase: str | None
    phases: list[ShownPhase]
    progress: float
    progress_text: str | None
    object: ShownObject | None
    result: Any
    error: ShownJobError | None
    actor: str
    project_id: str | None
    request_id: str
    attempts: int
    cancel_requested: bool
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
