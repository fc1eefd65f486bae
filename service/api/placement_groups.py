"""Placement groups over HTTP."""

from __future__ import annotations

from typing import cast

from service.api import paging, show
from service.api.call import Call, Reply
from service.api.models.placement_groups import ChangePlacementGroup, CreatePlacementGroup
from service.db import placement_groups as groups
from service.db import queries
from service.db.tables import PlacementGroup, Vm
from service.operations import placement_groups


def listing(call: Call) -> Reply:
    """All placement groups with their VMs."""
    found = queries.readable(PlacementGroup, call.actor.scope)
    found = paging.equal(call, found, name=PlacementGroup.name, kind=PlacementGroup.kind)
    return paging.named(call, found, PlacementGroup, _shown)


def one(call: Call) -> Reply:
    """One placement group with its VMs."""
    return Reply(_shown([queries.get(PlacementGroup, call.ref, call.actor.scope)])[0])


def create(call: Call) -> Reply:
    """Make a placement group."""
    body = cast(CreatePlacementGroup, call.body)
    made = placement_groups.create(call.ctx, call.actor, name=body.name, kind=body.kind, hard=body.hard)
    return Reply(_shown([made])[0], status=201)


def change(call: Call) -> Reply:
    """Make a placement group hard or soft. VMs that run stay where they are."""
    body = cast(ChangePlacementGroup, call.body)
    return Reply(_shown([placement_groups.change(call.ctx, call.actor, call.ref, hard=body.hard)])[0])


def delete(call: Call) -> Reply:
    """Remove a placement group that has no VMs."""
    placement_groups.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def _shown(rows: list[PlacementGroup]) -> list[show.Json]:
    """Groups with their VMs and where these are: what they refer to is read once for all."""
    members = groups.vms_of([row.id for row in rows])
    queries.attach([vm for vms in members.values() for vm in vms], Vm.host)
    return [_one(row, members.get(row.id, [])) for row in rows]


def _one(row: PlacementGroup, vms: list[Vm]) -> show.Json:
    return {
        **show.named(row),
        "project_id": row.project_id,
        "kind": row.kind,
        "hard": row.hard,
        "broken": placement_groups.is_broken(row, vms),
        "vms": [{"name": vm.name, "host": vm.host.name if vm.host else None} for vm in vms],
        "created_at": show.time(row.created_at),
    }
