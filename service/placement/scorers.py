"""Scorers of a host alone: pure, named, in [0, 1]; 1 is best. Asked once whenever the host's facts change.

docs/reference/placement.md says of each where its numbers come from and when it tells hosts apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from service.placement.facts import HostFacts, HostStorage

HostScorer = Callable[[HostFacts], float]

MILLION = 1_000_000  # terms count in millionths, and all weights sum up to about a million: every sum is exact
NO_DATA = 0.5  # neither good nor bad
LATENCY_HALF_MS = 20.0  # an OSD that takes so long to commit a write is worth half
PING_HALF_MS = 10.0  # as is a network on which a heartbeat takes so long
ORDINARY = 0.8  # what a living OSD that has nothing to tell is taken for: in good order, and not the best
UNKNOWN_CEPH_CPU = 0.25  # what OSDs are taken to burn until it is measured


def cpu_used(host: HostFacts) -> float:
    """(average + peak) / 2 of the host's CPU, measured; the load of this moment stands in for a missing history. No
    scorer yet: what the VM would add is not in it."""
    usage, now = host.usage, host.load.cpu_load
    average = usage.cpu_average if usage is not None and usage.cpu_average is not None else now
    peak = usage.cpu_peak if usage is not None and usage.cpu_peak is not None else average
    return 1.0 - NO_DATA if average is None or peak is None else (average + peak) / 2


def osd_latency(host: HostFacts) -> float:
    """1 / (1 + (ms / 20)²) of the host's slowest OSD; without a time, 0.8 × share of OSDs up: idle is not the best, and
    dead is not idle."""
    seen = host.storage
    if seen is None or not seen.op_latency_ms or not seen.osds_up:
        return _untold(seen)
    return _falling(seen.op_latency_ms, LATENCY_HALF_MS)


def osd_pressure(host: HostFacts) -> float:
    """Share of healthy PGs × share of OSDs up × 1 / (1 + slow operations) × (1 − half of the CPU that Ceph takes)."""
    seen = host.storage
    if seen is None or not seen.osds:
        return NO_DATA
    healthy = 1.0 - max(seen.pgs_degraded, seen.pgs_recovering) / seen.pgs if seen.pgs else 1.0
    ceph_cpu = host.usage.ceph_cpu if host.usage is not None else None
    left = 1.0 - (UNKNOWN_CEPH_CPU if ceph_cpu is None else ceph_cpu) / 2
    return healthy * (seen.osds_up / seen.osds) / (1 + seen.slow_ops) * left


def network(host: HostFacts) -> float:
    """1 / (1 + (ms / 10)²) of the heartbeats between the host's OSDs and others; without, 0.8 × share of OSDs up."""
    seen = host.storage
    if seen is None or seen.ping_ms is None or not seen.osds_up:
        return _untold(seen)
    return _falling(seen.ping_ms, PING_HALF_MS)


def trend(host: HostFacts) -> float:
    """1 − the CPU use that is expected in the coming hours."""
    if host.usage is None or host.usage.cpu_forecast is None:
        return NO_DATA
    return 1.0 - host.usage.cpu_forecast


def _untold(seen: HostStorage | None) -> float:
    """What silence is worth: the part of the OSDs that is dead is the reason for it, and no sign of order."""
    return ORDINARY if seen is None or not seen.osds else ORDINARY * (seen.osds_up / seen.osds)


def _falling(value: float, half: float) -> float:
    """1 at 0, flat around it, a half at `half`, then soon next to nothing."""
    return 1.0 / (1.0 + (value / half) * (value / half))


HOST_SCORERS: Mapping[str, HostScorer] = {
    score.__name__: score for score in (osd_latency, osd_pressure, network, trend)
}
