"""Description of an operation for the worker that runs its jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.jobs.job import Job

Run = Callable[[Any, Job], None]
UndoVerb = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb.

    Increment `steps_version` when a step changes its name, order or result.
    `undo` verbs are called as verb(ctx, *args): idempotent, doing nothing if there is nothing to undo.
    `also_resumes` are older versions whose unfinished jobs this code can resume.
    """

    kind: str
    run: Run
    steps_version: int
    undo: Mapping[str, UndoVerb] = field(default_factory=dict)
    also_resumes: tuple[int, ...] = ()

    def knows(self, code_version: int) -> bool:
        """Return True if this code can resume a job begun by that version."""
        return code_version == self.steps_version or code_version in self.also_resumes
