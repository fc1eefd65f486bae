"""Placement groups as JSON values."""

from __future__ import annotations

from service.db import placement_groups as groups
from service.db import queries
from service.db.tables import PlacementGroup, Vm
from service.json_types import JsonObject
from service.operations.placement import placement_groups
from service.views.values import show_named, show_time


def show_placement_groups(rows: list[PlacementGroup]) -> list[JsonObject]:
    """Groups with their VMs and where these are: what they refer to is read once for all."""
    members = groups.vms_of([row.id for row in rows])
    queries.attach([vm for vms in members.values() for vm in vms], Vm.host)
    return [_one(row, members.get(row.id, [])) for row in rows]


def _one(row: PlacementGroup, vms: list[Vm]) -> JsonObject:
    return {
        **show_named(row),
        "project_id": row.project_id,
        "kind": row.kind,
        "hard": row.hard,
        "broken": placement_groups.is_broken(row, vms),
        "vms": [{"name": vm.name, "host": vm.host.name if vm.host else None} for vm in vms],
        "created_at": show_time(row.created_at),
    }
