"""What a host's own OSDs need, which is taken off its capacity before anything is promised.

Memory: `osd_memory_target` is what an OSD aims at, not a limit; Ceph's hardware recommendations ask for 20 % more, for
spikes and for pages that the kernel is late to take back. CPU: they name one core for each OSD as the least. An OSD
that recovers or backfills needs more of both, whether one placement group waits for it or a hundred:
`osd_max_backfills` bounds what is done at a time. Source: docs.ceph.com, Hardware Recommendations (RAM, CPU); OSD
Config Reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from service.placement.check import MOST
from service.placement.facts import HostStorage


@dataclass(frozen=True, slots=True)
class ReservationRules:
    """Times `osd_memory_target`, and vCPUs for each OSD: at rest, and while placement groups of the host recover."""

    memory_factor: float = 1.2
    vcpus: float = 1.0
    recovery_memory_factor: float = 1.5
    recovery_vcpus: float = 2.0


@dataclass(frozen=True, slots=True)
class Reserved:
    """What is kept back of a host."""

    vcpus: int
    memory_mib: int


def for_osds(storage: HostStorage | None, rules: ReservationRules) -> Reserved:
    """What the host's OSDs need now; nothing where none are known. Whole vCPUs and MiB, rounded up.

    memory = sum of osd_memory_target x factor; vCPUs = OSDs x vCPUs for each; the larger numbers while it recovers.
    """
    if storage is None:
        return Reserved(0, 0)
    factor, vcpus = rules.memory_factor, rules.vcpus
    if _count(storage.pgs_recovering):
        factor, vcpus = max(factor, rules.recovery_memory_factor), max(vcpus, rules.recovery_vcpus)
    return Reserved(_times(_count(storage.osds), vcpus), _times(_count(storage.osd_memory_mib), factor))


def reserved(inventory: Reserved, storage: HostStorage | None, rules: ReservationRules) -> Reserved:
    """What is taken off a host: what its inventory says, or what its OSDs need where that is more."""
    needed = for_osds(storage, rules)
    return Reserved(max(inventory.vcpus, needed.vcpus), max(inventory.memory_mib, needed.memory_mib))


def _times(count: int, factor: float) -> int:
    """Rounded up; to a millionth first, for 1000 x 1.2 is not a hair more than 1200."""
    return math.ceil(round(count * factor, 6))


def _count(value: object) -> int:
    """A host that reports nonsense is filtered out by check.py: here it must only not stop the others."""
    return value if isinstance(value, int) and 0 <= value <= MOST else 0
