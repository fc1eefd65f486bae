"""Scorers are pure, named and in [0, 1]; 1 is best. Weights come from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.placement.facts import HostFacts, VmRequest

Scorer = Callable[[HostFacts, VmRequest], float]

# A write that takes longer than this is felt by a guest: the budget that a latency is measured against.
LATENCY_BUDGET_MS = 50.0
# What an idle OSD is worth: it tells neither good nor bad.
NO_DATA = 0.5


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))


def cpu_headroom(host: HostFacts, want: VmRequest) -> float:
    """Share of the host's vCPUs still free once the VM is there, less what the guests really burn."""
    usable = host.vcpus - host.reserved_vcpus
    if usable <= 0:
        return 0.0
    promised = _clamp((host.free_vcpus - want.vcpus) / usable)
    return promised if host.cpu_load is None else promised * (1.0 - _clamp(host.cpu_load)) ** 0.5


def memory_headroom(host: HostFacts, want: VmRequest) -> float:
    """Share of the host's memory still free once the VM is there."""
    usable = host.memory_mib - host.reserved_memory_mib
    return _clamp((host.free_memory_mib - want.memory_mib) / usable) if usable > 0 else 0.0


def osd_latency(host: HostFacts, _want: VmRequest) -> float:
    """Share of the latency budget that the host's slowest OSD leaves unused; NO_DATA when it is idle."""
    if host.osd_latency_ms is None:
        return NO_DATA
    return _clamp(1.0 - host.osd_latency_ms / LATENCY_BUDGET_MS)


def osds_up(host: HostFacts, _want: VmRequest) -> float:
    """Share of the host's OSDs that are up: a host with dead disks is about to be busy recovering."""
    return host.osds_up / host.osds if host.osds else 1.0


SCORERS: Mapping[str, Scorer] = {
    "cpu_headroom": cpu_headroom,
    "memory_headroom": memory_headroom,
    "osd_latency": osd_latency,
    "osds_up": osds_up,
}
