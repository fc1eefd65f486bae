"""From a host's facts to its row of numbers, and to facts with one more VM. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from service.placement.facts import HostFacts, VmRequest
from service.placement.scorers import HOST_SCORERS, MILLION, cpu_used

# Of its vCPUs, by a VM that nobody has measured yet: most VMs of a public cloud stay below it on average (E. Cortez et
# al., "Resource Central", SOSP 2017).
EXPECTED_USE = 0.2
# Of a host whose facts are nonsense: no filter minds these, and they are in no sum. Its kind is 0.
NO_NUMBERS = (inf, 1e15, 1e15, inf, 1, 1, 1e18, 0, 0, inf, 0, 0, 0, 0, *[0] * len(HOST_SCORERS))


def numbers_of(host: HostFacts, kind: int) -> tuple[float, ...]:
    """What the table keeps of it, in the order of the columns."""
    scores = [round(score(host) * MILLION) for score in HOST_SCORERS.values()]
    return (*_room(host), kind, *scores)


def _room(host: HostFacts) -> tuple[float, ...]:
    vcpus, memory_mib = host.usable_vcpus, host.usable_memory_mib
    seen_at_s = -inf if host.observed_at_s is None else host.observed_at_s
    storage_at_s = inf if host.storage_observed_at_s is None else host.storage_observed_at_s
    return (
        min(seen_at_s, storage_at_s),
        vcpus - host.allocated_vcpus,
        memory_mib - host.allocated_memory_mib,
        seen_at_s,
        max(1, vcpus),
        max(1, memory_mib),
        -1 if host.local_disk_free_bytes is None else host.local_disk_free_bytes,
        host.migrations,
        host.vm_count,
        storage_at_s,
        host.state == "active",
        1.0 - cpu_used(host),
        EXPECTED_USE / max(1, host.vcpus),
    )


def with_vm(host: HostFacts, want: VmRequest) -> HostFacts:
    """The host as it is once the VM is there."""
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
