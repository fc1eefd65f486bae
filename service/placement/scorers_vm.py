"""Scorers of a host with the VM on it: for many hosts at once, one number in [0, 1] each; 1 is best.

One number alone stands for all of them. Only for hosts that are ruled out may it fall outside of [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from service.placement.columns import (
    CPU_IDLE,
    CPU_PER_VCPU,
    FREE_MEMORY,
    FREE_VCPUS,
    USABLE_MEMORY,
    USABLE_VCPUS,
    Floats,
    Hosts,
)
from service.placement.facts import GroupRule, VmRequest
from service.placement.filters import Cloud
from service.placement.scorers import NO_DATA

# Hosts whose room is about the same are equal, so that ties fill them in the order of their names: holes stay whole.
STEPS = 4

VmScorer = Callable[[Hosts, VmRequest, Cloud], Floats | float]


def cpu_headroom(hosts: Hosts, want: VmRequest, cloud: Cloud) -> Floats:
    """Share of the usable vCPUs that are still free once the VM is there, in whole quarters."""
    return _in_steps(vcpus_free(hosts, want, cloud))


def memory_headroom(hosts: Hosts, want: VmRequest, cloud: Cloud) -> Floats:
    """Share of the usable memory that is still free once the VM is there, in whole quarters."""
    return _in_steps(memory_free(hosts, want, cloud))


def balance(hosts: Hosts, want: VmRequest, cloud: Cloud) -> Floats:
    """The smaller of both headrooms: what runs out first ends what the host can take."""
    return _in_steps(np.minimum(vcpus_free(hosts, want, cloud), memory_free(hosts, want, cloud)))


def vcpus_free(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Floats:
    """As cpu_headroom, without steps."""
    return (hosts.column(FREE_VCPUS) - want.vcpus) / hosts.column(USABLE_VCPUS)


def memory_free(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Floats:
    """As memory_headroom, without steps."""
    return (hosts.column(FREE_MEMORY) - want.memory_mib) / hosts.column(USABLE_MEMORY)


def cpu_use(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Floats:
    """1 − (average + peak) / 2 of the host's CPU as measured − what the VM is expected to add."""
    return np.maximum(0.0, hosts.column(CPU_IDLE) - want.vcpus * hosts.column(CPU_PER_VCPU))


def local_reads(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Floats | float:
    """Share of the PGs of the VM's pools that have a copy on the host, on average of the pools."""
    if not want.pools:
        return NO_DATA
    if len(want.pools) == 1:
        return hosts.local_reads(want.pools[0].name)
    return sum(hosts.local_reads(pool.name) for pool in want.pools) / len(want.pools)


def spreading(hosts: Hosts, want: VmRequest, cloud: Cloud) -> Floats | float:
    """1 − the share of the project's VMs that run there, in whole quarters: of a large project nothing is asked."""
    if want.project_id is None or not cloud.project_vms:
        return 1.0
    quarters = np.floor(hosts.vms_of_project(want.project_id) * (STEPS / cloud.project_vms))
    return np.maximum(0.0, 1.0 - quarters / STEPS)


def affinity(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Floats | float:
    """Of the soft rules, on average: beside a member 1, or 0; away from members 1 / (1 + members on the host)."""
    if not want.rules:
        return NO_DATA
    soft = [_drawn(rule, hosts.members(rule.group_id, want)) for rule in want.rules if not rule.hard]
    return sum(soft) / len(soft) if soft else NO_DATA


def _drawn(rule: GroupRule, members: Floats) -> Floats:
    return np.minimum(members, 1.0) if rule.kind == "affinity" else 1.0 / (1.0 + members)


def _in_steps(shares: Floats) -> Floats:
    whole: Floats = np.floor(shares * STEPS) / STEPS
    return whole


VM_SCORERS: Mapping[str, VmScorer] = {
    score.__name__: score
    for score in (
        cpu_headroom, memory_headroom, balance, cpu_use, vcpus_free, memory_free, local_reads, spreading, affinity
    )
}  # fmt: skip
