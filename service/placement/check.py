"""Facts come from machines that may be broken: what no sane host reports is told in words, and rules out that host."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

from service.placement.facts import HostFacts, HostStorage

MOST = 1 << 40  # of anything counted here: MiB, vCPUs, placement groups
LONGEST = 120  # characters of what is told of one value
NONE = type(None)
Bound = tuple[frozenset[type], float, float]  # what types a number may be of (a bool is none), the least and the most

COUNT: Bound = (frozenset((int,)), 0, MOST)
SOME: Bound = (frozenset((int, NONE)), 0, 1 << 62)
TIME: Bound = (frozenset((float, int, NONE)), 0, 1e12)
MILLISECONDS: Bound = (frozenset((float, int, NONE)), 0, 1e7)
SHARE: Bound = (frozenset((float, int, NONE)), 0, 1)
RATIO: Bound = (frozenset((float, int)), 0.001, 100)


class Fields:
    """Some fields of a value, each with its bound. NaN lies within none."""

    def __init__(self, **bounds: Bound) -> None:
        self._bounds = tuple(bounds.items())
        self._get = attrgetter(*bounds)

    def troubles(self, value: object) -> list[str]:
        """What is said of each field that is out of bounds."""
        return [
            _told(name, number)
            for (name, (kinds, least, most)), number in zip(self._bounds, self._get(value), strict=True)
            if type(number) not in kinds or not (number is None or least <= number <= most)
        ]


HOST = Fields(
    vcpus=COUNT, reserved_vcpus=COUNT, allocated_vcpus=COUNT, vcpu_ratio=RATIO, memory_mib=COUNT,
    reserved_memory_mib=COUNT, allocated_memory_mib=COUNT, memory_ratio=RATIO, vm_count=COUNT, migrations=COUNT,
    cpu_load=SHARE, local_disk_free_bytes=SOME, observed_at_s=TIME, storage_observed_at_s=TIME,
)  # fmt: skip
STORAGE = Fields(
    osds=COUNT, osds_up=COUNT, op_latency_ms=MILLISECONDS, slow_ops=COUNT, ping_ms=MILLISECONDS, pgs=COUNT,
    pgs_degraded=COUNT, pgs_recovering=COUNT, osd_memory_mib=COUNT,
)  # fmt: skip
USAGE = Fields(
    cpu_average=SHARE, cpu_peak=SHARE, cpu_forecast=SHARE, ceph_cpu=SHARE, memory_used_mib=SOME, ksm_saved_mib=SOME
)  # fmt: skip


def nonsense(host: HostFacts) -> str | None:
    """What is wrong with a host's facts, in words; None when they may be calculated with."""
    troubles = HOST.troubles(host)
    if not troubles and host.storage is not None:
        troubles = STORAGE.troubles(host.storage) or _sums(host.storage) or _shares(host.storage.local_reads)
    if not troubles and host.usage is not None:
        troubles = USAGE.troubles(host.usage)
    return troubles[0] if troubles else None


def _sums(seen: HostStorage) -> list[str]:
    worst, told = max(seen.pgs_degraded, seen.pgs_recovering), []
    if seen.osds_up > seen.osds:
        told.append(f"{seen.osds_up} of {seen.osds} OSDs are up")
    if worst > seen.pgs:
        told.append(f"{worst} of {seen.pgs} PGs are degraded or recovering")
    return told


def _shares(shares: object) -> list[str]:
    if not isinstance(shares, Mapping):
        return [_told("local_reads", shares)]
    odd = {pool: share for pool, share in shares.items() if type(share) not in (float, int) or not 0 <= share <= 1}
    return [_told(f"local_reads of {pool}", share) for pool, share in odd.items()]


def _told(name: str, value: object) -> str:
    """What is said of a value that cannot be."""
    return f"{name} is {value!r}"[:LONGEST]
