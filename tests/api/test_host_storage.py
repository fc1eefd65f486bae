"""What the storage goes through on a host reaches its row: what matters at once, the rest seldom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.db.tables import Host
from service.views.values import show_time
from storage.errors import UnreachableError
from storage.facts import HostStorage, OsdFacts

CALM = HostStorage("host1", 1, 1, 2.0, 0, 1.0, 54, 0, 0, {"vms": 0.75}, 896)


@pytest.fixture
def osds(cloud):
    cloud.storage.set_osds(tuple(OsdFacts(n, f"host{n + 1}", True, True, 2.0, 2.0, 0, 1 << 40) for n in range(2)))
    cloud.storage.set_hosts(CALM)
    cloud.observe()


def host(cloud, name="host1"):
    return next(row for row in cloud.rows(Host) if row.name == name)


def look(cloud, after_s=10.0):
    cloud.clock.elapsed_s += after_s
    cloud.round("observe_storage")


def test_a_host_is_told_what_its_osds_go_through(cloud, osds):
    kept = host(cloud).storage
    assert (kept["op_latency_ms"], kept["local_reads"], kept["osd_memory_mib"]) == (2.0, {"vms": 0.75}, 896)
    shown = cloud.api.get("/v1/hosts/host1").json()
    assert shown["storage"] == kept
    assert shown["storage_observed_at"] == show_time(cloud.clock.now())


def test_a_host_without_osds_is_looked_at_and_has_no_storage(cloud, osds):
    cloud.storage.set_osds(cloud.storage.osds()[:1])
    look(cloud)
    assert host(cloud, "host2").storage is None
    assert host(cloud, "host2").storage_observed_at == cloud.clock.now()
    assert cloud.api.get("/v1/hosts/host2").json()["storage"] is None


def test_what_no_decision_could_tell_apart_is_not_written(cloud, osds):
    before = host(cloud)
    cloud.storage.set_hosts(replace(CALM, op_latency_ms=2.3))
    look(cloud)
    after = host(cloud)
    assert (after.changed, after.storage_observed_at, after.storage) == (
        before.changed,
        before.storage_observed_at,
        before.storage,
    )


def test_an_unchanged_host_is_written_before_its_facts_are_old(cloud, osds):
    before = host(cloud)
    look(cloud)
    look(cloud)
    after = host(cloud)
    assert after.changed > before.changed
    assert after.storage_observed_at == cloud.clock.now()


def test_a_contended_host_is_written_at_once_and_the_others_are_not(cloud, osds):
    before, other = host(cloud), host(cloud, "host2")
    cloud.storage.set_hosts(replace(CALM, op_latency_ms=450.0, pgs_recovering=9))
    look(cloud)
    after = host(cloud)
    assert after.changed > before.changed
    assert (after.storage["op_latency_ms"], after.storage["pgs_recovering"]) == (30.0, 9)
    assert host(cloud, "host2").changed == other.changed


def test_a_host_whose_disk_is_put_right_recovers_its_latency(cloud, osds):
    cloud.storage.set_hosts(replace(CALM, op_latency_ms=450.0))
    look(cloud)
    cloud.storage.set_hosts(CALM)
    for _ in range(4):
        look(cloud)
    assert host(cloud).storage["op_latency_ms"] < 6


def test_without_a_count_the_hosts_facts_grow_old(cloud, osds):
    before = host(cloud).storage_observed_at

    def not_counted(moment):
        if moment == "before hosts":
            raise UnreachableError("pg dump: the manager has restarted")

    cloud.hook = not_counted
    look(cloud, after_s=60)
    assert host(cloud).storage_observed_at == before
    assert cloud.api.get("/v1/storage").json()["osds"] != []
