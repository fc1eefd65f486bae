"""Models of dry runs and declarations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.models.jobs import ShownJob, ShownObject
from service.api.models.vms import ShownPlacement
from service.edge.models import Id, Shown
from service.json_types import Json


class ShownTrialJob(Shown):
    """Job that would be created; the id of a new object is discarded afterwards."""

    kind: str
    object: ShownObject


class ShownDifference(Shown):
    """Field that differs from the declaration, and when the change takes effect."""

    field: str
    before: Json = Field(alias="from")
    to: Json
    when: Literal["now", "next_start"]


class ShownDeclared(Shown):
    """Result of a declaration: `diff` is empty if the VM was created or is unchanged.

    `job` applies the changes; null: nothing is left to do.
    """

    vm_id: Id
    created: bool
    changed: bool
    diff: list[ShownDifference]
    job: ShownJob | None


class ShownTrial(Shown):
    """Result of a request with `dry_run=true`."""

    dry_run: Literal[True]
    job: ShownTrialJob | None
    placements: list[ShownPlacement]
    why_not_all: str | None = Field(description="Batches: why not all VMs would be placed.")
    reasons: dict[str, list[str]]
    changed: bool | None
    diff: list[ShownDifference] | None
