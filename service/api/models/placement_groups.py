"""Rules about VMs that shall run on one host, or never on one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.edge.models import Body, Id, Instant, Label, ListNamed, Named, Shown

Kind = Literal["affinity", "anti_affinity"]


class CreatePlacementGroup(Body):
    """VMs together on one host (affinity), or each on another (anti_affinity). A soft rule is only preferred."""

    name: Label
    kind: Kind
    hard: bool = True


class ChangePlacementGroup(Body):
    """Whether the rule must be obeyed, or is only preferred."""

    hard: bool | None = None


class ListPlacementGroups(ListNamed):
    """Which placement groups to list."""

    kind: Kind | None = None


class ShownGroupMember(Shown):
    """A VM that obeys the rule; `host` is null while it runs nowhere."""

    name: str
    host: str | None


class ShownPlacementGroup(Named):
    """A rule with its VMs."""

    project_id: Id
    kind: Kind
    hard: bool
    broken: bool = Field(description="As the VMs run now. Moving them mends it.")
    vms: list[ShownGroupMember]
    created_at: Instant
