"""What the worker must know of an operation to run its jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.jobs.job import Job

Run = Callable[[Any, Job], None]
UndoVerb = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb. `steps_version` grows whenever a step changes its name, order or result.

    `undo` verbs are called as verb(ctx, *args): idempotent, silent when there is nothing to take back.
    `also_resumes` are older versions whose half-done jobs this code can go on with.
    """

    kind: str
    run: Run
    steps_version: int
    undo: Mapping[str, UndoVerb] = field(default_factory=dict)
    also_resumes: tuple[int, ...] = ()

    def knows(self, code_version: int) -> bool:
        """Whether a job begun by that version may go on here."""
        return code_version == self.steps_version or code_version in self.also_resumes
