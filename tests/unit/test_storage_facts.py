"""Ceph's answers become facts. The answers are shortened from a Ceph 16.2.15 cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storage.ceph import facts
from storage.facts import OsdFacts


def answering(**answers: Any) -> Callable[..., Any]:
    answers.setdefault("osd_crush_rule_dump", [])
    return lambda prefix, **_: answers[prefix.replace(" ", "_")]


def df(name: str, *, stored: int = 100, max_avail: int = 1000) -> dict[str, Any]:
    return {"name": name, "stats": {"stored": stored, "max_avail": max_avail}}


def detail(name: str, *, flags: str = "hashpspool", quota: int = 0) -> dict[str, Any]:
    return {
        "pool_name": name,
        "size": 3,
        "flags_names": flags,
        "quota_max_bytes": quota,
        "application_metadata": {"rbd": {}},
    }


def pool(df_: dict[str, Any], detail_: dict[str, Any]) -> facts.PoolFacts:
    (told,) = facts.pools(answering(df={"pools": [df_]}, osd_pool_ls=[detail_]))
    return told


def osd(number: int, *, status: str = "up", reweight: float = 1.0) -> dict[str, Any]:
    return {"id": number, "type": "osd", "status": status, "reweight": reweight, "kb": 1000, "kb_used": 10}


def host(name: str, *children: int) -> dict[str, Any]:
    return {"id": -2, "type": "host", "name": name, "children": list(children)}


def perf(*entries: tuple[int, int, int]) -> dict[str, Any]:
    stats = [
        {"id": number, "perf_stats": {"commit_latency_ns": commit, "apply_latency_ns": apply}}
        for number, commit, apply in entries
    ]
    return {"osdstats": {"osd_perf_infos": stats}}


def osds(nodes: list[dict[str, Any]], latencies: dict[str, Any], *stray: dict[str, Any]) -> tuple[OsdFacts, ...]:
    return facts.osds(answering(osd_df={"nodes": nodes, "stray": list(stray)}, osd_perf=latencies))


def test_health_is_one_line_per_check() -> None:
    checks = {
        "POOL_FULL": {"summary": {"message": "1 pool(s) full"}},
        "OSD_DOWN": {"summary": {"message": "1 osds down"}},
    }
    version = {"version": "ceph version 16.2.15 (618f44) pacific (stable)"}
    told = facts.health(answering(health={"status": "HEALTH_WARN", "checks": checks}, version=version))
    assert told.status == "HEALTH_WARN"
    assert told.checks == ("OSD_DOWN: 1 osds down", "POOL_FULL: 1 pool(s) full")
    assert told.version == "16.2.15"


def test_a_pool_without_a_quota_has_the_clusters_room() -> None:
    told = pool(df("vms"), detail("vms"))
    assert (told.name, told.replicas, told.stored_bytes, told.free_bytes) == ("vms", 3, 100, 1000)
    assert (told.near_full, told.full) == (False, False)


@pytest.mark.parametrize(("quota", "free"), [(500, 400), (5000, 1000), (100, 0), (50, 0)])
def test_a_quota_limits_the_room(quota: int, free: int) -> None:
    assert pool(df("vms"), detail("vms", quota=quota)).free_bytes == free


@pytest.mark.parametrize(
    ("flags", "quota", "near_full", "full"),
    [
        ("hashpspool,full,full_quota", 50, True, True),
        ("hashpspool,nearfull", 0, True, False),
        ("hashpspool,backfillfull", 0, True, False),
        ("hashpspool", 117, True, False),
        ("hashpspool", 118, False, False),
    ],
)
def test_flags_and_quota_tell_how_full_a_pool_is(flags: str, quota: int, near_full: bool, full: bool) -> None:
    told = pool(df("vms"), detail("vms", flags=flags, quota=quota))
    assert (told.near_full, told.full) == (near_full, full)


def test_only_pools_for_block_devices_are_told_by_name() -> None:
    names = ("device_health_metrics", "vms", "images")
    details = [detail(name) for name in names]
    details[0]["application_metadata"] = {"mgr_devicehealth": {}}
    ask = answering(df={"pools": [df(name) for name in names]}, osd_pool_ls=details)
    assert [told.name for told in facts.pools(ask)] == ["images", "vms"]


def test_a_pool_that_is_too_new_to_be_counted_waits_for_the_next_look() -> None:
    ask = answering(df={"pools": [df("images")]}, osd_pool_ls=[detail("images"), detail("vms")])
    assert [told.name for told in facts.pools(ask)] == ["images"]


def test_latencies_are_found_where_other_versions_of_ceph_tell_them() -> None:
    older = perf((0, 1_500_000, 2_000_000))["osdstats"]
    (told,) = osds([host("host1", 0), osd(0)], older)
    assert told.commit_latency_ms == 1.5


def test_an_osd_is_told_with_its_crush_host() -> None:
    nodes = [host("host1", 0), osd(0), host("host2", 3, 1), osd(1), osd(3)]
    assert [(told.osd_id, told.host) for told in osds(nodes, perf())] == [(0, "host1"), (1, "host2"), (3, "host2")]


def test_sizes_are_bytes_and_latencies_milliseconds() -> None:
    (told,) = osds([host("host1", 0), osd(0)], perf((0, 1_500_000, 2_000_000)))
    assert told == OsdFacts(0, "host1", True, True, 1.5, 2.0, 10 * 1024, 1000 * 1024)


def test_the_zero_of_an_idle_osd_is_no_latency() -> None:
    (told,) = osds([host("host1", 0), osd(0)], perf((0, 0, 0)))
    assert (told.commit_latency_ms, told.apply_latency_ms) == (None, None)


def test_the_last_latency_of_a_dead_osd_is_no_latency() -> None:
    (told,) = osds([host("host1", 0), osd(0, status="down")], perf((0, 1_000_000, 1_000_000)))
    assert (told.up, told.commit_latency_ms, told.apply_latency_ms) == (False, None, None)


def test_an_osd_of_no_weight_is_out() -> None:
    (told,) = osds([host("host1", 0), osd(0, reweight=0)], perf())
    assert not told.in_cluster


def test_an_osd_outside_the_tree_has_no_host() -> None:
    (told,) = osds([], perf(), osd(7))
    assert (told.osd_id, told.host) == (7, "")
