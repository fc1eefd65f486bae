"""Queries of placement groups: the rules of a VM, and where their VMs are.

A VM counts on every host where it has capacity allocated: on both while it is migrated, on none while it is off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, cast

from peewee import fn

from service.db.engine.sql_types import Tuples
from service.db.tables import Allocation, Host, PlacementGroup, PlacementGroupMember, Vm

Rows = Tuples


def of_vm(vm_id: str) -> list[PlacementGroup]:
    """Return the rules of a VM, by name."""
    mine = PlacementGroupMember.vm == vm_id
    return list(PlacementGroup.select().join(PlacementGroupMember).where(mine).order_by(PlacementGroup.name))


def names_of(vm_id: str) -> list[str]:
    """Return the names of the rules of a VM, in order."""
    return [str(group.name) for group in of_vm(vm_id)]


def vms_of(group_ids: Iterable[str]) -> dict[str, list[Vm]]:
    """Return group id → its VMs, by name; without empty groups."""
    members = PlacementGroupMember.select(PlacementGroupMember, Vm).join(Vm)
    found: defaultdict[str, list[Vm]] = defaultdict(list)
    for row in members.where(PlacementGroupMember.group.in_(list(group_ids))).order_by(Vm.name):
        found[row.group_id].append(row.vm)
    return found


def members_on(host_ids: Iterable[str] | None = None) -> dict[str, dict[str, int]]:
    """Return host id → group id → number of its VMs there. `host_ids` None: all hosts."""
    rows = (
        Allocation.select(Allocation.host, PlacementGroupMember.group, fn.COUNT(Allocation.id))
        .join(PlacementGroupMember, on=PlacementGroupMember.vm == Allocation.vm)
        .group_by(Allocation.host, PlacementGroupMember.group)
    )
    if host_ids is not None:
        rows = rows.where(Allocation.host.in_(list(host_ids)))
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for host_id, group_id, number in cast(Rows, rows.tuples()):
        counts[host_id][group_id] = number
    return counts


def hosts_of_others(vm_id: str, group_ids: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return group id → host id → names of the group's other VMs there."""
    rows: Rows = cast(
        Any,
        PlacementGroupMember.select(PlacementGroupMember.group, Allocation.host, Vm.name)
        .join(Allocation, on=Allocation.vm == PlacementGroupMember.vm)
        .join(Vm, on=Vm.id == PlacementGroupMember.vm)
        .where(PlacementGroupMember.group.in_(list(group_ids)) & (PlacementGroupMember.vm != vm_id))
        .order_by(Vm.name)
        .tuples(),
    )
    found: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    for group_id, host_id, name in rows:
        found[group_id].setdefault(host_id, []).append(name)
    return found


def hosts_held_by(vm_id: str) -> list[str]:
    """Return the ids of the hosts where a VM has capacity allocated."""
    return [row.host_id for row in Allocation.select(Allocation.host).where(Allocation.vm == vm_id)]


def host_names(host_ids: Iterable[str]) -> dict[str, str]:
    """Return host id → name."""
    return {host.id: host.name for host in Host.select(Host.id, Host.name).where(Host.id.in_(list(host_ids)))}


def hard_members(project_id: str) -> tuple[dict[str, PlacementGroup], Mapping[str, frozenset[str]]]:
    """Return a project's hard rules by id, and the ids of each one's VMs."""
    mine = (PlacementGroup.project == project_id) & PlacementGroup.hard
    groups = {group.id: group for group in PlacementGroup.select().where(mine).order_by(PlacementGroup.name)}
    members: defaultdict[str, set[str]] = defaultdict(set)
    for row in PlacementGroupMember.select().where(PlacementGroupMember.group.in_(list(groups))):
        members[row.group_id].add(row.vm_id)
    return groups, {group_id: frozenset(vm_ids) for group_id, vm_ids in members.items()}
