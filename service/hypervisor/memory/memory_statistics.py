"""Counters of simulated hosts and guests."""

from __future__ import annotations

from service.hypervisor.memory.memory_cloud import Hardware, MemoryHost
from service.hypervisor.render import domain_name
from service.hypervisor.spec import DiskSpec
from service.hypervisor.values import (
    DiskStatistics,
    DomainState,
    DomainStatistics,
    HostCounters,
    MemoryStatistics,
    NicStatistics,
)

UNGROWN_BYTES = 1 << 20  # reported size of a disk that was never grown


def counters(host: MemoryHost, up_s: float) -> HostCounters:
    """Return the host's counters: the sum of its guests' and its own fields."""
    guests_mib = sum(domain.memory_mib for domain in host.domains.values())
    cpus = host.facts.cpus or 0
    return HostCounters(
        cpus=cpus,
        busy_s=host.busy_s + sum(domain.cpu_time_s for domain in host.domains.values()),
        total_s=up_s * cpus,
        memory_mib=host.facts.memory_mib or 0,
        memory_used_mib=host.memory_used_mib + guests_mib,
        ksm_saved_mib=host.ksm_saved_mib,
    )


def statistics(state: DomainState, hardware: Hardware) -> DomainStatistics:
    """Return a guest's statistics: CPU time spread evenly over vCPUs, and no I/O."""
    size = state.memory_mib * 1024 * 1024
    return DomainStatistics(
        vm_id=state.vm_id,
        name=domain_name(state.vm_id),
        state=state.state,
        cpu_time_s=state.cpu_time_s,
        vcpu_times_s=(state.cpu_time_s / state.vcpus,) * state.vcpus,
        memory=MemoryStatistics(size, size, size, None, None, None),
        disks=tuple(_idle_disk(disk, hardware.sizes_bytes) for disk in hardware.disks.values()),
        nics=tuple(NicStatistics(f"vnet{n}", 0, 0, 0, 0, 0, 0, 0, 0) for n, _ in enumerate(hardware.spec.nics)),
    )


def _idle_disk(disk: DiskSpec, sizes_bytes: dict[str, int]) -> DiskStatistics:
    size = 0 if disk.source is None else sizes_bytes.get(disk.target, UNGROWN_BYTES)
    return DiskStatistics(disk.target, 0, 0, 0.0, 0, 0, 0.0, 0, capacity_bytes=size)
