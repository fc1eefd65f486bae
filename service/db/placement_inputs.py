"""What other rows say of a VM that is to be placed: read in one statement, since every placement asks for it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from peewee import JOIN, SQL

from service.db.engine.fields import Json
from service.db.engine.prepared import Parameter, Prepared
from service.db.tables import (
    Network,
    Nic,
    PlacementGroup,
    PlacementGroupMember,
    Pool,
    ProjectHostGroup,
    Vm,
    Volume,
)

NONE = SQL("NULL")


@dataclass(frozen=True, slots=True)
class SeenPool:
    """A pool that the VM's volumes lie in, as last observed; `facts` is None when it never was."""

    name: str
    facts: Json
    observed_at_s: float | None


@dataclass(frozen=True, slots=True)
class ObeyedRule:
    """A placement group that the VM is in."""

    group_id: str
    name: str
    kind: str
    hard: bool


@dataclass(frozen=True, slots=True)
class Inputs:
    """`host_groups` are those of its project; None: it has none, and may use every host."""

    pools: tuple[SeenPool, ...]
    bridges: frozenset[str]
    host_groups: frozenset[str] | None
    rules: tuple[ObeyedRule, ...]


def of_vm(vm: Vm) -> Inputs:
    """All of it, in the order of names."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for what, *values in sorted(EVERYTHING.tuples(vm_id=vm.id, project_id=vm.project_id), key=lambda row: row[:3]):
        found[what].append(values)
    return Inputs(
        pools=tuple(_pool(name, facts, at) for name, facts, _, at in found["pool"]),
        bridges=frozenset(bridge for bridge, *_ in found["bridge"]),
        host_groups=frozenset(group_id for group_id, *_ in found["host_group"]) or None,
        rules=tuple(ObeyedRule(group_id, name, kind, bool(hard)) for name, group_id, kind, hard in found["rule"]),
    )


def _pool(name: str, facts: str | None, observed_at: int | None) -> SeenPool:
    if facts is None or observed_at is None:
        return SeenPool(name, None, None)
    return SeenPool(name, json.loads(facts), observed_at / 1e6)


def _everything() -> Any:
    """Five columns: what a row is about, its name, and three more; the first select decides of what type they are."""
    mine = Parameter("vm_id")
    pools = (
        Volume.select(SQL("'pool'"), Volume.pool, Pool.facts, SQL("''"), Pool.observed_at)
        .join(Pool, JOIN.LEFT_OUTER, on=Pool.name == Volume.pool)
        .where(Volume.vm == mine)
        .distinct()
    )
    bridges = Nic.select(SQL("'bridge'"), Network.bridge, NONE, NONE, NONE).join(Network).where(Nic.vm == mine)
    host_groups = ProjectHostGroup.select(SQL("'host_group'"), ProjectHostGroup.group, NONE, NONE, NONE).where(
        ProjectHostGroup.project == Parameter("project_id")
    )
    hard = PlacementGroup.hard.cast("integer")
    rules = (
        PlacementGroupMember.select(SQL("'rule'"), PlacementGroup.name, PlacementGroup.id, PlacementGroup.kind, hard)
        .join(PlacementGroup)
        .where(PlacementGroupMember.vm == mine)
    )
    return pools.union_all(bridges).union_all(host_groups).union_all(rules)


EVERYTHING = Prepared(Vm, _everything)
