"""Models of placement groups."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.edge.models import Body, Id, Instant, Label, ListNamed, Named, Shown

Kind = Literal["affinity", "anti_affinity"]


class CreatePlacementGroup(Body):
    """Placement group to create: VMs together on one host, or each on another host.

    A rule that is not `hard` is only preferred.
    """

    name: Label
    kind: Kind
    hard: bool = True


class UpdatePlacementGroup(Body):
    """Changes of a placement group."""

    hard: bool | None = None


class ListPlacementGroups(ListNamed):
    """Filters of the list of placement groups."""

    kind: Kind | None = None


class ShownGroupMember(Shown):
    """VM in a placement group; `host` is null while the VM has no host."""

    name: str
    host: str | None


class ShownPlacementGroup(Named):
    """Placement group with its VMs."""

    project_id: Id
    kind: Kind
    hard: bool
    broken: bool = Field(description="The running VMs violate the rule; migrate them to restore it.")
    vms: list[ShownGroupMember]
    created_at: Instant
