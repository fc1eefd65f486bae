"""Pools, bridges, host groups and rules that a placement of a VM depends on."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from service.db import placement_rows
from service.db.tables import Vm
from service.json_types import Json


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
    for subject, *values in placement_rows.of_vm(vm.id, vm.project_id):
        found[subject].append(values)
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
