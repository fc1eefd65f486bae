"""Seeded facts of hosts: ordinary ones, and some whose OSDs are slow and under pressure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from random import Random

from service.placement.facts import HostFacts, HostStorage, HostUsage, PoolFacts

NOW_S = 1_000_000.0
POOL = PoolFacts("vms", observed_at_s=NOW_S, free_bytes=1 << 50, near_full=False, full=False)
OSDS, PGS = 4, 120


def host(number: int, *, vcpus: int, memory_mib: int) -> HostFacts:
    """An empty host, freshly seen, of whose storage nothing is known but that it is idle."""
    return HostFacts(
        host_id=f"id-{number:05}",
        name=f"host{number:05}",
        state="active",
        observed_at_s=NOW_S,
        virt_type="kvm",
        vcpus=vcpus,
        memory_mib=memory_mib,
        storage=HostStorage(osds=OSDS, osds_up=OSDS, pgs=PGS),
        storage_observed_at_s=NOW_S,
    )


def some(count: int, share: float, seed: int) -> frozenset[int]:
    """Numbers of the hosts that are contended: so large a share of `count`, rounded down."""
    return frozenset(Random(seed).sample(range(count), int(count * share)))


def stirred(hosts: Collection[HostFacts], contended: Collection[int], seed: int) -> list[HostFacts]:
    """The hosts, in the same order, with storage that works: those whose place is in `contended` under pressure."""
    chance = Random(seed)
    return [
        _under_pressure(one, chance) if place in contended else _at_work(one, chance) for place, one in enumerate(hosts)
    ]


def _at_work(one: HostFacts, chance: Random) -> HostFacts:
    """Commit latency 2 to 10 ms, mostly; heartbeats about 1 ms; Ceph takes 5 to 15 % of the CPU."""
    storage = HostStorage(
        osds=OSDS,
        osds_up=OSDS,
        op_latency_ms=round(chance.lognormvariate(1.5, 0.4), 1),
        ping_ms=round(chance.uniform(0.3, 2.0), 1),
        pgs=PGS,
    )
    return replace(one, storage=storage, usage=HostUsage(ceph_cpu=round(chance.uniform(0.05, 0.15), 2)))


def _under_pressure(one: HostFacts, chance: Random) -> HostFacts:
    """Commit latency 60 to 400 ms, up to three slow operations, 5 to 60 % of the PGs recovering, 20 to 60 % CPU."""
    storage = HostStorage(
        osds=OSDS,
        osds_up=OSDS,
        op_latency_ms=round(chance.uniform(60, 400), 1),
        slow_ops=chance.randint(0, 3),
        ping_ms=round(chance.uniform(0.3, 2.0), 1),
        pgs=PGS,
        pgs_recovering=chance.randint(PGS // 20, PGS * 6 // 10),
    )
    return replace(one, storage=storage, usage=HostUsage(ceph_cpu=round(chance.uniform(0.2, 0.6), 2)))
