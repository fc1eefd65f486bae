"""A host's row of numbers, and its facts with one more VM. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from service.placement.columns import (
    COLUMNS,
    COUNTED,
    CPU_IDLE,
    CPU_PER_VCPU,
    FREE_MEMORY,
    FREE_VCPUS,
    KIND,
    LOCAL_DISK,
    MIGRATIONS,
    OBSERVED,
    OLDEST,
    SCORES,
    STORAGE_OBSERVED,
    USABLE_MEMORY,
    USABLE_VCPUS,
    VM_COUNT,
)
from service.placement.facts import HostFacts, VmRequest
from service.placement.scorers import HOST_SCORERS, MILLION, cpu_used

# Of its vCPUs, by a VM that was not measured yet: most VMs of a public cloud stay below it on average (E. Cortez et
# al., "Resource Central", SOSP 2017).
EXPECTED_USE = 0.2


def numbers_of(host: HostFacts, kind: int) -> list[float]:
    """Return the host's row of the matrix."""
    vcpus, memory_mib, disk_bytes = host.usable_vcpus, host.usable_memory_mib, host.hardware.local_disk_free_bytes
    seen_at_s = -inf if host.observed_at_s is None else host.observed_at_s
    storage_at_s = inf if host.storage_observed_at_s is None else host.storage_observed_at_s
    row = [0.0] * COLUMNS
    row[OLDEST] = min(seen_at_s, storage_at_s)
    row[FREE_VCPUS] = vcpus - host.allocated_vcpus
    row[FREE_MEMORY] = memory_mib - host.allocated_memory_mib
    row[OBSERVED] = seen_at_s
    row[USABLE_VCPUS] = max(1, vcpus)
    row[USABLE_MEMORY] = max(1, memory_mib)
    row[LOCAL_DISK] = -1 if disk_bytes is None else disk_bytes
    row[MIGRATIONS] = host.migrations
    row[VM_COUNT] = host.vm_count
    row[STORAGE_OBSERVED] = storage_at_s
    row[COUNTED] = host.state == "active"
    row[CPU_IDLE] = 1.0 - cpu_used(host)
    row[CPU_PER_VCPU] = EXPECTED_USE / max(1, host.vcpus)
    row[KIND] = kind
    row[SCORES:] = [round(score(host) * MILLION) for score in HOST_SCORERS.values()]
    return row


def with_vm(host: HostFacts, want: VmRequest) -> HostFacts:
    """Return the host's facts with the VM on it."""
    projects, members = host.projects, host.members
    if want.project_id is not None:
        projects = {**projects, want.project_id: projects.get(want.project_id, 0) + 1}
    if want.rules:
        members = {**members, **{rule.group_id: members.get(rule.group_id, 0) + 1 for rule in want.rules}}
    return replace(
        host,
        allocated_vcpus=host.allocated_vcpus + want.vcpus,
        allocated_memory_mib=host.allocated_memory_mib + want.memory_mib,
        vm_count=host.vm_count + 1,
        projects=projects,
        members=members,
    )
