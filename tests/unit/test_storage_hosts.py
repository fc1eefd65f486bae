"""What the storage goes through on a host, from Ceph's answers (shortened from a 16.2.15 cluster)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from storage.ceph import hosts, memory_targets, pings, slow_ops
from storage.errors import UnreachableError
from storage.facts import HostStorage, OsdFacts

RBD = {"rbd": {}}
REPLICATED, ERASURE = 1, 3


def osd(number: int, host: str, *, up: bool = True, latency: float | None = 2.0) -> OsdFacts:
    return OsdFacts(number, host, up, True, latency, latency, 10, 100, "hdd")


def pool(number: int, name: str, kind: int = REPLICATED) -> dict[str, Any]:
    return {"pool_id": number, "pool_name": name, "type": kind, "application_metadata": RBD}


def pg(pgid: str, *acting: int, state: str = "active+clean", up: tuple[int, ...] | None = None) -> dict[str, Any]:
    return {"pgid": pgid, "state": state, "up": list(acting if up is None else up), "acting": list(acting)}


def ping(peer: int, milliseconds: float, *, minute: float = 0.1) -> dict[str, Any]:
    networks = [{"interface": way, "average": {"1min": minute}, "last": milliseconds} for way in ("back", "front")]
    return {"osd": peer, "interfaces": networks}


def stats(number: int, *found: dict[str, Any]) -> dict[str, Any]:
    return {"osd": number, "network_ping_times": list(found)}


def cluster(
    pgs: list[dict[str, Any]],
    *,
    osd_stats: tuple[dict[str, Any], ...] = (),
    checks: dict[str, Any] | None = None,
    config: tuple[dict[str, Any], ...] = (),
    pools: tuple[dict[str, Any], ...] = (pool(2, "vms"),),
) -> Callable[..., Any]:
    answers = {"osd pool ls": list(pools), "health": {"checks": checks or {}}, "config dump": list(config)}

    def ask(prefix: str, **arguments: Any) -> Any:
        if prefix != "pg dump":
            return answers[prefix]
        return {"pg_stats": pgs} if arguments["dumpcontents"] == ["pgs_brief"] else {"osd_stats": list(osd_stats)}

    return ask


def seen(osds: tuple[OsdFacts, ...], pgs: list[dict[str, Any]], **more: Any) -> dict[str, HostStorage]:
    return {host.host: host for host in hosts.hosts(cluster(pgs, **more), osds)}


TWO = (osd(0, "host1"), osd(1, "host2"))
THREE = (*TWO, osd(2, "host3"))


def test_a_host_has_the_worst_latency_of_its_osds() -> None:
    told = seen((osd(0, "host1", latency=3.0), osd(1, "host1", latency=40.0), osd(2, "host1", latency=None)), [])
    assert (told["host1"].osds, told["host1"].op_latency_ms) == (3, 40.0)


def test_a_host_of_idle_osds_has_no_latency() -> None:
    assert seen((osd(0, "host1", latency=None),), [])["host1"].op_latency_ms is None


def test_osds_that_are_down_are_counted() -> None:
    told = seen((osd(0, "host1"), osd(1, "host1", up=False)), [])
    assert (told["host1"].osds, told["host1"].osds_up) == (2, 1)


def test_an_osd_under_no_host_is_nobodys() -> None:
    assert list(seen((*TWO, osd(9, "")), [])) == ["host1", "host2"]


def test_hosts_are_told_by_name() -> None:
    assert list(seen((osd(0, "host2"), osd(1, "host1")), [])) == ["host1", "host2"]


@pytest.mark.parametrize(
    ("state", "degraded", "recovering"),
    [
        ("active+clean", 0, 0),
        ("active+clean+scrubbing+deep", 0, 0),
        ("active+undersized+degraded", 1, 0),
        ("active+recovering+degraded", 1, 1),
        ("active+recovery_wait+degraded", 1, 1),
        ("active+remapped+backfilling", 0, 1),
        ("active+undersized+degraded+remapped+backfill_wait", 1, 1),
        ("active+remapped+backfill_toofull", 0, 1),
    ],
)
def test_a_pgs_state_tells_what_its_hosts_go_through(state: str, degraded: int, recovering: int) -> None:
    told = seen(TWO, [pg("2.0", 0, 1, state=state)])["host2"]
    assert (told.pgs, told.pgs_degraded, told.pgs_recovering) == (1, degraded, recovering)


def test_a_host_that_shall_get_a_copy_shares_the_work_but_answers_no_read() -> None:
    told = seen(THREE, [pg("2.0", 0, 1, up=(0, 2), state="active+remapped+backfilling")])
    assert [told[name].pgs_recovering for name in ("host1", "host2", "host3")] == [1, 1, 1]
    assert [dict(told[name].local_reads) for name in ("host1", "host3")] == [{"vms": 1.0}, {}]


def test_a_pg_with_two_copies_on_a_host_counts_once() -> None:
    assert seen((osd(0, "host1"), osd(1, "host1")), [pg("2.0", 0, 1)])["host1"].pgs == 1


def test_a_place_that_nobody_fills_is_nobodys() -> None:
    nobody = 2147483647
    assert seen(TWO, [pg("2.0", 0, nobody, state="active+undersized+degraded")])["host1"].pgs_degraded == 1


def test_local_reads_are_the_share_of_a_pools_pgs_with_a_copy_here() -> None:
    pgs = [pg("2.0", 0, 1), pg("2.1", 0, 2), pg("2.2", 1, 2), pg("2.3", 0, 1), pg("5.0", 2)]
    told = seen(THREE, pgs, pools=(pool(2, "vms"), pool(5, "images")))
    assert dict(told["host1"].local_reads) == {"vms": 0.75}
    assert dict(told["host3"].local_reads) == {"images": 1.0, "vms": 0.5}


def test_a_shard_of_an_erasure_coded_pool_answers_no_read_alone() -> None:
    assert dict(seen(TWO, [pg("2.0", 0, 1)], pools=(pool(2, "vms", ERASURE),))["host1"].local_reads) == {}


def test_a_manager_that_has_not_counted_yet_is_no_answer() -> None:
    with pytest.raises(UnreachableError, match="has restarted"):
        hosts.hosts(lambda *_, **__: {"pg_ready": False}, TWO)


def test_older_versions_of_ceph_list_placement_groups_bare() -> None:
    def ask(prefix: str, **arguments: Any) -> Any:
        if prefix == "pg dump":
            return [pg("2.0", 0, 1)] if arguments["dumpcontents"] == ["pgs_brief"] else []
        return cluster([])(prefix, **arguments)

    assert [told.pgs for told in hosts.hosts(ask, TWO)] == [1, 1]


# Heartbeats


def of_host(osds: tuple[OsdFacts, ...], *osd_stats: dict[str, Any]) -> dict[str, float]:
    return pings.by_host(osd_stats, {each.osd_id: each.host for each in osds})


def test_one_host_with_a_slow_link_does_not_make_the_others_look_slow() -> None:
    told = of_host(
        THREE,
        stats(0, ping(1, 1.0), ping(2, 80.0)),
        stats(1, ping(0, 1.0), ping(2, 90.0)),
        stats(2, ping(0, 85.0), ping(1, 95.0)),
    )
    assert (told["host1"], told["host2"], told["host3"]) == (1.0, 1.0, 82.5)


def test_the_slower_of_both_networks_counts_and_the_last_minute_does_not() -> None:
    slow_front = ping(1, 1.0, minute=900.0)
    slow_front["interfaces"][1]["last"] = 30.0
    assert of_host(TWO, stats(0, slow_front)) == {"host1": 30.0, "host2": 30.0}


def test_heartbeats_that_tell_of_no_last_ping_tell_nothing() -> None:
    assert of_host(TWO, stats(0, {"osd": 1}), stats(1, {"osd": 0, "interfaces": [{"interface": "back"}]})) == {}


def test_pings_within_a_host_say_nothing_of_its_network() -> None:
    assert of_host((osd(0, "host1"), osd(1, "host1")), stats(0, ping(1, 50.0))) == {}


def test_the_last_pings_of_a_dead_osd_are_not_counted() -> None:
    dead = (osd(0, "host1"), osd(1, "host2", up=False), osd(2, "host3"))
    told = seen(dead, [], osd_stats=(stats(0, ping(1, 900.0), ping(2, 1.0)), stats(1, ping(0, 900.0))))
    assert [told[name].ping_ms for name in ("host1", "host2", "host3")] == [1.0, None, 1.0]


def test_a_cluster_too_large_for_pings_is_told_without_them() -> None:
    many = tuple(osd(number, f"host{number:04}") for number in range(301))
    told = hosts.hosts(cluster([], osd_stats=(stats(0, ping(1, 5.0)),)), many)
    assert all(host.ping_ms is None for host in told)


# Slow operations


def complaint(message: str) -> dict[str, Any]:
    return {"checks": {"SLOW_OPS": {"summary": {"message": message}}}}


def test_slow_operations_are_shared_out_between_the_daemons_that_are_named() -> None:
    message = "7 slow ops, oldest one blocked for 34 sec, daemons [osd.1,osd.12,mon.host2] have slow ops."
    assert slow_ops.by_osd(complaint(message)) == {1: 4, 12: 4}


def test_slow_operations_of_one_daemon_are_all_its_own() -> None:
    assert slow_ops.by_osd(complaint("3 slow ops, oldest one blocked for 31 sec, osd.2 has slow ops")) == {2: 3}


def test_a_monitors_slow_operations_are_no_hosts() -> None:
    assert slow_ops.by_osd(complaint("3 slow ops, oldest one blocked for 31 sec, mon.a has slow ops")) == {}


def test_a_host_adds_up_the_slow_operations_of_its_osds() -> None:
    checks = complaint("8 slow ops, oldest one blocked for 34 sec, daemons [osd.0,osd.1] have slow ops.")["checks"]
    assert seen((osd(0, "host1"), osd(1, "host1")), [], checks=checks)["host1"].slow_ops == 8


# Memory


def entry(section: str, value: int, mask: str = "") -> dict[str, Any]:
    return {"section": section, "name": "osd_memory_target", "value": str(value), "mask": mask}


def test_an_osd_that_nothing_is_said_of_may_take_cephs_default() -> None:
    assert memory_targets.by_osd([{"section": "osd", "name": "osd_max_backfills", "value": "2"}], TWO)[0] == 4 << 30


@pytest.mark.parametrize(
    ("entries", "target"),
    [
        ([entry("global", 1), entry("osd", 2)], 2),
        ([entry("osd.0", 3), entry("osd", 2)], 3),
        ([entry("osd", 4, "class:hdd"), entry("osd.0", 3)], 4),
        ([entry("osd", 5, "host:host1"), entry("osd", 4, "class:hdd")], 5),
        ([entry("osd", 5, "host:host2"), entry("osd", 2), entry("osd.1", 6)], 2),
        ([entry("osd", 5, "rack:r1"), entry("osd", 2)], 2),
    ],
)
def test_the_most_particular_entry_that_fits_wins(entries: list[dict[str, Any]], target: int) -> None:
    assert memory_targets.by_osd(entries, TWO)[0] == target


def test_a_host_may_take_what_its_osds_may_together() -> None:
    config = (entry("osd", 896 << 20),)
    assert seen((osd(0, "host1"), osd(1, "host1")), [], config=config)["host1"].osd_memory_mib == 2 * 896


# Size


def work(osd_count: int) -> int:
    """How many instructions of Python it takes to tell the hosts of so many OSDs, with 33 placement groups each."""
    osds = tuple(osd(number, f"host{number // 10:03}") for number in range(osd_count))
    numbers = [
        [(n * step + first) % osd_count for step, first in ((1, 0), (7, 13), (31, 57))] for n in range(33 * osd_count)
    ]
    answer, ask, done = {"pg_stats": [pg(f"2.{n:x}", *three) for n, three in enumerate(numbers)]}, cluster([]), 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal done
        frame.f_trace_opcodes = True
        done += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        told = hosts.hosts(lambda p, **a: answer if a.get("dumpcontents") == ["pgs_brief"] else ask(p, **a), osds)
    finally:
        sys.settrace(before)
    assert len(told) == osd_count // 10
    return done


def test_twice_the_osds_are_no_more_than_twice_the_work() -> None:
    """Counted, so that no busy computer decides."""
    assert 0 < work(200) < 2.2 * work(100)
