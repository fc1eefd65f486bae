"""Ceph load of every host: five cluster commands, joined by the OSDs' hosts.

Ceph reports OSDs and placement groups (PGs), never hosts. Written for Ceph 16.2; fields that other versions leave out
count as no data.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from storage.ceph import memory_targets, pings, slow_ops
from storage.errors import UnreachableError
from storage.facts import HostStorage, OsdFacts

Ask = Callable[..., Any]
# Every OSD reports each of its peers: the answer grows with the square of a small cluster's OSDs, 600 bytes a pair.
_MOST_OSDS_FOR_PINGS = 300
_RECOVERING = ("recover", "backfill")  # "recovering", "recovery_wait", "backfilling", "backfill_wait", "…_toofull"
_DEGRADED = ("degraded", "undersized")
_WHOLE_COPIES = 1  # the type of a replicated pool: a shard of an erasure-coded one serves no read alone


@dataclass(slots=True)
class _Pgs:
    """PGs with a copy on one host, and how many of each pool."""

    all: int
    degraded: int
    recovering: int
    of_pool: Counter[int]


def hosts(ask: Ask, osds: tuple[OsdFacts, ...]) -> tuple[HostStorage, ...]:
    """See Storage.hosts."""
    by_host = _by_host(osds)
    host_of = {osd.osd_id: name for name, each in by_host.items() for osd in each}
    listed = _counted(ask("pg dump", dumpcontents=["pgs_brief"]), "pg_stats")
    pgs, in_pool = _pgs(listed, host_of), Counter(_pool_of(pg) for pg in listed)
    pools = {pool["pool_id"]: pool for pool in ask("osd pool ls", detail="detail")}
    names = {number: pool["pool_name"] for number, pool in pools.items() if _readable(pool)}
    slow, ping = slow_ops.by_osd(ask("health", detail="detail")), _pings(ask, osds, host_of)
    targets = memory_targets.by_osd(ask("config dump"), osds)
    return tuple(
        _host(
            name,
            by_host[name],
            pgs=pgs[name],
            local_reads=_local_reads(pgs[name], in_pool, names),
            slow=slow,
            ping_ms=ping.get(name),
            targets=targets,
        )
        for name in sorted(by_host)
    )


def _host(
    name: str,
    osds: list[OsdFacts],
    *,
    pgs: _Pgs,
    local_reads: Mapping[str, float],
    slow: Mapping[int, int],
    ping_ms: float | None,
    targets: Mapping[int, int],
) -> HostStorage:
    return HostStorage(
        host=name,
        osds=len(osds),
        osds_up=sum(osd.up for osd in osds),
        op_latency_ms=max((osd.commit_latency_ms for osd in osds if osd.commit_latency_ms is not None), default=None),
        slow_ops=sum(slow.get(osd.osd_id, 0) for osd in osds),
        ping_ms=ping_ms,
        pgs=pgs.all,
        pgs_degraded=pgs.degraded,
        pgs_recovering=pgs.recovering,
        local_reads=local_reads,
        osd_memory_mib=sum(targets[osd.osd_id] for osd in osds) >> 20,
    )


def _by_host(osds: Iterable[OsdFacts]) -> dict[str, list[OsdFacts]]:
    by_host: dict[str, list[OsdFacts]] = defaultdict(list)
    for osd in osds:
        if osd.host:
            by_host[osd.host].append(osd)
    return dict(by_host)


def _counted(answer: Any, key: str) -> list[dict[str, Any]]:
    """Return a list of the manager's; versions before 14 answer with the list itself."""
    if isinstance(answer, list):
        return answer
    if not answer.get("pg_ready", True):
        raise UnreachableError("pg dump: the manager has restarted and has no report of some placement groups yet")
    listed: list[dict[str, Any]] = answer.get(key, [])
    return listed


def _readable(pool: Mapping[str, Any]) -> bool:
    return pool.get("type") == _WHOLE_COPIES and "rbd" in pool["application_metadata"]


def _pool_of(pg: Mapping[str, Any]) -> int:
    return int(pg["pgid"].partition(".")[0])


def _pgs(listed: list[dict[str, Any]], host_of: Mapping[int, str]) -> defaultdict[str, _Pgs]:
    """Return PGs by host: each PG once for every host that has, or gets, a copy.

    A place without an OSD has a special number.
    """
    found: defaultdict[str, _Pgs] = defaultdict(lambda: _Pgs(0, 0, 0, Counter()))
    for pg in listed:
        state, pool = pg["state"], _pool_of(pg)
        degraded = any(word in state for word in _DEGRADED)
        recovering = any(word in state for word in _RECOVERING)
        has = {host_of[osd] for osd in pg["acting"] if osd in host_of}
        gets = {host_of[osd] for osd in pg["up"] if osd in host_of}
        for name in has | gets:
            here = found[name]
            here.all += 1
            here.degraded += degraded
            here.recovering += recovering
            here.of_pool[pool] += name in has
    return found


def _local_reads(pgs: _Pgs, in_pool: Mapping[int, int], names: Mapping[int, str]) -> dict[str, float]:
    here = {names[pool]: count / in_pool[pool] for pool, count in pgs.of_pool.items() if pool in names and count}
    return {name: round(share, 4) for name, share in sorted(here.items())}


def _pings(ask: Ask, osds: tuple[OsdFacts, ...], host_of: Mapping[int, str]) -> dict[str, float]:
    """Return pings by host; none in a large cluster, whose health lists slow pings."""
    if len(osds) > _MOST_OSDS_FOR_PINGS:
        return {}
    alive = {osd.osd_id: host_of[osd.osd_id] for osd in osds if osd.up and osd.osd_id in host_of}
    return pings.by_host(_counted(ask("pg dump", dumpcontents=["osds"]), "osd_stats"), alive)
