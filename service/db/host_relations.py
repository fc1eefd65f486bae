"""Host groups, projects and migrations of hosts, by one statement each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from peewee import JOIN, fn

from service.db.engine.sql_types import Tuples
from service.db.tables import Allocation, HostGroupMember, Vm

Ids: TypeAlias = list[str] | None  # None: of all hosts


def groups_of(ids: Ids) -> Mapping[str, frozenset[str]]:
    """Return host id → ids of its host groups; hosts in none are left out."""
    rows: Any = HostGroupMember.select(HostGroupMember.host, HostGroupMember.group)
    rows = rows if ids is None else rows.where(HostGroupMember.host.in_(ids))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for host_id, group_id in rows.tuples():
        found[host_id].add(group_id)
    return {host_id: frozenset(groups) for host_id, groups in found.items()}


def projects_and_migrations(ids: Ids) -> tuple[Mapping[str, dict[str, int]], Mapping[str, int]]:
    """Return host id → project id → number of VMs, and host id → migrations in flight.

    A migrating VM has allocations on two hosts.
    """
    other = Allocation.alias()
    rows = (
        Allocation.select(Allocation.host, Vm.project, fn.COUNT(Allocation.id), fn.COUNT(other.id))
        .join(Vm)
        .switch(Allocation)
        .join(other, JOIN.LEFT_OUTER, on=(other.vm == Allocation.vm) & (other.host != Allocation.host))
        .group_by(Allocation.host, Vm.project)
    )
    rows = rows if ids is None else rows.where(Allocation.host.in_(ids))
    projects: defaultdict[str, dict[str, int]] = defaultdict(dict)
    migrations: defaultdict[str, int] = defaultdict(int)
    for host_id, project_id, vms, migrating in cast("Tuples", rows.tuples()):
        projects[host_id][project_id] = vms
        migrations[host_id] += migrating
    return projects, migrations
