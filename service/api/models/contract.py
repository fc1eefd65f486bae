"""What a request would come to, what happened, and what a declaration changed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.models.jobs import ShownJob, ShownObject
from service.api.models.vms import ShownPlacement
from service.edge.models import Id, Shown


class ShownTrialJob(Shown):
    """The job that would be made. The id of an object that is not there yet is nobody's afterwards."""

    kind: str
    object: ShownObject


class ShownDifference(Shown):
    """One field of a declaration that is not what the VM has; `when` it becomes so."""

    field: str
    before: Any = Field(alias="from")
    to: Any
    when: Literal["now", "next_start"]


class ShownDeclared(Shown):
    """What a declaration changed: `diff` is empty where the VM was made, or was as declared.

    `job` is what to wait for; null: nothing is left to do.
    """

    vm_id: Id
    created: bool
    changed: bool
    diff: list[ShownDifference]
    job: ShownJob | None


class ShownTrial(Shown):
    """What a request with `dry_run=true` would have done."""

    dry_run: Literal[True]
    job: ShownTrialJob | None
    placements: list[ShownPlacement]
    why_not_all: str | None = Field(description="Of a batch: why not more VMs would be placed.")
    reasons: dict[str, list[str]]
    changed: bool | None
    diff: list[ShownDifference] | None
