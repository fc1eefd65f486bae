"""Each scorer: its formula at known points, what no data is worth, and that it stays in [0, 1]."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from service.placement.check import nonsense
from service.placement.columns import Hosts
from service.placement.facts import GroupRule, HostLoad, HostStorage, HostUsage
from service.placement.place import place
from service.placement.policy import STORAGE_CPU
from service.placement.scorers import HOST_SCORERS
from service.placement.scorers_vm import VM_SCORERS
from service.placement.table import HostTable
from tests.unit.placement_world import HOST, POOL, WANT, hosts, wants

OSD = HostStorage(osds=4, osds_up=4, pgs=100)


@pytest.mark.parametrize(
    ("name", "facts", "expected"),
    [
        ("osd_latency", {}, 0.8),
        ("osd_latency", {"storage": OSD}, 0.8),
        ("osd_latency", {"storage": replace(OSD, op_latency_ms=0.0)}, 0.8),
        ("osd_latency", {"storage": HostStorage()}, 0.8),
        ("osd_latency", {"storage": replace(OSD, osds_up=3)}, 0.6),
        ("osd_latency", {"storage": replace(OSD, osds_up=0)}, 0.0),
        ("osd_latency", {"storage": replace(OSD, osds_up=0, op_latency_ms=1.0)}, 0.0),
        ("osd_latency", {"storage": replace(OSD, op_latency_ms=20.0)}, 0.5),
        ("osd_latency", {"storage": replace(OSD, op_latency_ms=400.0)}, 0.002494),
        ("osd_pressure", {}, 0.5),
        ("osd_pressure", {"storage": HostStorage()}, 0.5),
        ("osd_pressure", {"storage": OSD, "usage": HostUsage(ceph_cpu=0.0)}, 1.0),
        ("osd_pressure", {"storage": OSD, "usage": HostUsage(ceph_cpu=1.0)}, 0.5),
        ("osd_pressure", {"storage": OSD}, 0.875),
        ("osd_pressure", {"storage": replace(OSD, osds_up=1), "usage": HostUsage(ceph_cpu=0.0)}, 0.25),
        ("osd_pressure", {"storage": replace(OSD, slow_ops=3), "usage": HostUsage(ceph_cpu=0.0)}, 0.25),
        (
            "osd_pressure",
            {"storage": replace(OSD, pgs_degraded=20, pgs_recovering=40), "usage": HostUsage(ceph_cpu=0.0)},
            0.6,
        ),
        ("network", {"storage": OSD}, 0.8),
        ("network", {"storage": replace(OSD, osds_up=3)}, 0.6),
        ("network", {"storage": replace(OSD, osds_up=0)}, 0.0),
        ("network", {"storage": replace(OSD, osds_up=0, ping_ms=1.0)}, 0.0),
        ("network", {"storage": replace(OSD, ping_ms=10.0)}, 0.5),
        ("network", {"storage": replace(OSD, ping_ms=0.0)}, 1.0),
        ("trend", {}, 0.5),
        ("trend", {"usage": HostUsage(cpu_forecast=0.9)}, 0.1),
    ],
)
def test_the_host_alone(name, facts, expected):
    assert HOST_SCORERS[name](replace(HOST, **facts)) == pytest.approx(expected, abs=1e-6)


def fit(name, host, want=WANT):
    table = HostTable([host, replace(HOST, host_id="2", name="host2", projects={"p": 3})])
    table.know_pools(want)
    return np.broadcast_to(VM_SCORERS[name](Hosts(table.columns, None), want, table.cloud(want)), 2)[0]


@pytest.mark.parametrize(
    ("name", "facts", "want", "expected"),
    [
        ("vcpus_free", {}, {"vcpus": 2}, 5 / 7),
        ("memory_free", {}, {"memory_mib": 1024}, 6 / 7),
        ("cpu_headroom", {}, {"vcpus": 2}, 0.5),
        ("memory_headroom", {}, {"memory_mib": 1024}, 0.75),
        ("balance", {}, {"vcpus": 2, "memory_mib": 1024}, 0.5),
        ("balance", {"allocated_memory_mib": 7168}, {"memory_mib": 0}, 0.0),
        ("cpu_use", {}, {"vcpus": 0}, 0.5),
        ("cpu_use", {}, {"vcpus": 4}, 0.4),
        ("cpu_use", {"load": HostLoad(cpu_load=0.25)}, {"vcpus": 4}, 0.65),
        (
            "cpu_use",
            {"usage": HostUsage(cpu_average=0.2, cpu_peak=0.6), "load": HostLoad(cpu_load=1.0)},
            {"vcpus": 4},
            0.5,
        ),
        ("cpu_use", {"usage": HostUsage(cpu_average=0.2)}, {"vcpus": 0}, 0.8),
        ("cpu_use", {"load": HostLoad(cpu_load=1.0)}, {}, 0.0),
        ("local_reads", {}, {}, 0.5),
        ("local_reads", {"storage": OSD}, {}, 0.0),
        ("local_reads", {"storage": replace(OSD, local_reads={"vms": 0.75})}, {}, 0.75),
        ("local_reads", {"storage": replace(OSD, local_reads={"vms": 0.75})}, {"pools": ()}, 0.5),
        (
            "local_reads",
            {"storage": replace(OSD, local_reads={"vms": 0.75, "fast": 0.25})},
            {"pools": (POOL, replace(POOL, name="fast"))},
            0.5,
        ),
        ("spreading", {}, {}, 1.0),
        ("spreading", {}, {"project_id": "p"}, 1.0),
        ("spreading", {"projects": {"p": 1}}, {"project_id": "p"}, 0.75),
        ("spreading", {"projects": {"p": 9}}, {"project_id": "p"}, 0.0),
        ("affinity", {}, {}, 0.5),
        ("affinity", {"members": {"g": 2}}, {"rules": (GroupRule("g", "g", "affinity", hard=False),)}, 1.0),
        ("affinity", {"members": {"g": 1}}, {"rules": (GroupRule("g", "g", "anti_affinity", hard=False),)}, 0.5),
        ("affinity", {"members": {"g": 1}}, {"rules": (GroupRule("g", "g", "anti_affinity", hard=True),)}, 0.5),
    ],
)
def test_the_host_with_the_vm(name, facts, want, expected):
    assert fit(name, replace(HOST, **facts), replace(WANT, **want)) == pytest.approx(expected)


def test_on_a_symmetric_cluster_local_reads_tell_no_host_from_another():
    alike = [
        replace(HOST, host_id=str(n), name=f"host{n}", storage=replace(OSD, local_reads={"vms": 3 / 4}))
        for n in range(4)
    ]
    table = HostTable(alike)
    table.know_pools(WANT)
    terms = VM_SCORERS["local_reads"](Hosts(table.columns, None), WANT, table.cloud(WANT))
    assert set(np.asarray(terms).tolist()) == {0.75}


def test_of_three_hosts_in_trouble_the_one_whose_only_osd_is_dead_is_the_last_choice():
    alive = HostStorage(osds=1, osds_up=1, pgs=65, pgs_degraded=65, op_latency_ms=60.0, ping_ms=15.0)
    dead = HostStorage(osds=1, osds_up=0, op_latency_ms=1.2)
    busy, idle = HostUsage(cpu_average=0.6, cpu_peak=0.9), HostUsage(cpu_average=0.2, cpu_peak=0.5)
    table = HostTable(
        [
            replace(HOST, storage=dead, usage=idle),
            replace(HOST, host_id="2", name="host2", storage=alive, usage=busy, allocated_vcpus=2),
            replace(HOST, host_id="3", name="host3", storage=alive, usage=busy, allocated_vcpus=2),
        ]
    )
    assert [verdict.host_name for verdict in place(table, WANT, STORAGE_CPU).top] == ["host2", "host3", "host1"]


def test_no_data_is_never_best():
    known = HostUsage(cpu_average=0.0, cpu_peak=0.0, cpu_forecast=0.0, ceph_cpu=0.0)
    good = replace(HOST, usage=known, load=HostLoad(cpu_load=0.0), storage=replace(OSD, op_latency_ms=0.5, ping_ms=0.1))
    assert all(score(HOST) < score(good) for score in HOST_SCORERS.values())


@given(host=hosts, want=wants)
def test_every_term_of_a_host_that_fits_lies_between_0_and_1(host, want):
    if nonsense(host) or host.free_vcpus < want.vcpus or host.free_memory_mib < want.memory_mib:
        return
    table = HostTable([host])
    table.know_pools(want)
    assert all(0 <= score(host) <= 1 for score in HOST_SCORERS.values())
    view, cloud = Hosts(table.columns, None), table.cloud(want)
    assert all(0 <= np.max(score(view, want, cloud)) <= 1 for score in VM_SCORERS.values())
