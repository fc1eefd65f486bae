"""Check of a host's facts: machines may be broken, and a host that reports an impossible value takes no VM."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

from service.facts.fact import Fact, facts_of
from service.placement.facts import HostFacts, HostHardware, HostLoad, HostStorage, HostUsage

MOST = 1 << 40  # of anything counted here: MiB, vCPUs, placement groups
MOST_BYTES = 1 << 62
LONGEST = 120  # characters of the description of one value
NONE = type(None)
Bound = tuple[frozenset[type], float, float]  # valid types of a number (a bool is none), the least and the most

COUNT: Bound = (frozenset((int,)), 0, MOST)
TIME: Bound = (frozenset((float, int, NONE)), 0, 1e12)
RATIO: Bound = (frozenset((float, int)), 0.001, 100)
# Unit of a fact → the most that it may be; facts of other units are no numbers.
MOST_OF: Mapping[str, float] = {
    "count": MOST, "mib": MOST, "bytes": MOST_BYTES, "share": 1, "ms": 1e7, "epoch_s": TIME[2]
}  # fmt: skip


class Fields:
    """Fields of a value by their paths, each with its bound. NaN lies within none."""

    def __init__(self, bounds: Mapping[str, Bound]) -> None:
        self._bounds = tuple((path.rpartition(".")[2], *bound) for path, bound in bounds.items())
        self._get = attrgetter(*bounds)

    def troubles(self, value: object) -> list[str]:
        """Return a description of each field that is out of bounds."""
        return [
            _described(name, number)
            for (name, kinds, least, most), number in zip(self._bounds, self._get(value), strict=True)
            if type(number) not in kinds or not (number is None or least <= number <= most)
        ]


def bounds_of(kind: type) -> dict[str, Bound]:
    """Return the bound of every number among a value's facts."""
    return {one.name: _bound(one) for one in facts_of(kind) if one.about.unit in MOST_OF}


def _bound(one: Fact) -> Bound:
    kinds = {one.type, int} | ({NONE} if one.optional else set())
    return frozenset(kinds), 0, MOST_OF[one.about.unit]


def _inside(member: str, kind: type, name: str) -> dict[str, Bound]:
    return {f"{member}.{name}": bounds_of(kind)[name]}


HOST = Fields(
    {
        "vcpus": COUNT, "reserved_vcpus": COUNT, "allocated_vcpus": COUNT, "vcpu_ratio": RATIO, "memory_mib": COUNT,
        "reserved_memory_mib": COUNT, "allocated_memory_mib": COUNT, "memory_ratio": RATIO, "vm_count": COUNT,
        "migrations": COUNT, "observed_at_s": TIME, "storage_observed_at_s": TIME,
        # Of the load and the hardware only what decisions calculate with: they are made for every change of a host.
        **_inside("load", HostLoad, "cpu_load"),
        **_inside("hardware", HostHardware, "local_disk_free_bytes"),
    }
)  # fmt: skip
STORAGE, USAGE = Fields(bounds_of(HostStorage)), Fields(bounds_of(HostUsage))


def nonsense(host: HostFacts) -> str | None:
    """Return what is wrong with a host's facts, in words; None when they are valid."""
    troubles = HOST.troubles(host)
    if not troubles and host.storage is not None:
        troubles = STORAGE.troubles(host.storage) or _sums(host.storage) or _shares(host.storage.local_reads)
    if not troubles and host.usage is not None:
        troubles = USAGE.troubles(host.usage)
    return troubles[0] if troubles else None


def _sums(seen: HostStorage) -> list[str]:
    worst, wrong = max(seen.pgs_degraded, seen.pgs_recovering), []
    if seen.osds_up > seen.osds:
        wrong.append(f"{seen.osds_up} of {seen.osds} OSDs are up")
    if worst > seen.pgs:
        wrong.append(f"{worst} of {seen.pgs} PGs are degraded or recovering")
    return wrong


def _shares(shares: object) -> list[str]:
    if not isinstance(shares, Mapping):
        return [_described("local_reads", shares)]
    odd = {pool: share for pool, share in shares.items() if type(share) not in (float, int) or not 0 <= share <= 1}
    return [_described(f"local_reads of {pool}", share) for pool, share in odd.items()]


def _described(name: str, value: object) -> str:
    """Return the description of an impossible value."""
    return f"{name} is {value!r}"[:LONGEST]
