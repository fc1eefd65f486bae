"""Pools, bridges, host groups and placement groups of a VM, by one statement.

Every placement reads them.
"""

from __future__ import annotations

from typing import TypeAlias

from peewee import JOIN, SQL

from service.db.engine.prepared import Parameter, Prepared
from service.db.engine.sql_types import Query, Values
from service.db.tables import Network, Nic, PlacementGroup, PlacementGroupMember, Pool, ProjectHostGroup, Vm, Volume

NONE = SQL("NULL")
# Subject ('pool', 'bridge', 'host_group', 'rule'), its name or id, and three more columns.
Row: TypeAlias = Values


def of_vm(vm_id: str, project_id: str) -> list[Row]:
    """Read the rows of a VM and its project, ordered by subject and name.

    pool: name, facts (JSON text), "", observed_at (µs) · bridge: name · host_group: id · rule: name, id, kind, hard.
    """
    return sorted(STATEMENT.tuples(vm_id=vm_id, project_id=project_id), key=lambda row: row[:3])


def _statement() -> Query:
    """Return the statement with five columns; the first select decides their types."""
    this_vm = Parameter("vm_id")
    pools = (
        Volume.select(SQL("'pool'"), Volume.pool, Pool.facts, SQL("''"), Pool.observed_at)
        .join(Pool, JOIN.LEFT_OUTER, on=Pool.name == Volume.pool)
        .where(Volume.vm == this_vm)
        .distinct()
    )
    bridges = Nic.select(SQL("'bridge'"), Network.bridge, NONE, NONE, NONE).join(Network).where(Nic.vm == this_vm)
    host_groups = ProjectHostGroup.select(SQL("'host_group'"), ProjectHostGroup.group, NONE, NONE, NONE).where(
        ProjectHostGroup.project == Parameter("project_id")
    )
    hard = PlacementGroup.hard.cast("integer")
    rules = (
        PlacementGroupMember.select(SQL("'rule'"), PlacementGroup.name, PlacementGroup.id, PlacementGroup.kind, hard)
        .join(PlacementGroup)
        .where(PlacementGroupMember.vm == this_vm)
    )
    return pools.union_all(bridges).union_all(host_groups).union_all(rules)


STATEMENT = Prepared(Vm, _statement)
