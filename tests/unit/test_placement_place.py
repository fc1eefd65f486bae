"""The decision: never over capacity, equal for equal input, explained for every host, fair in its scores."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.placement.facts import HostFacts, PoolFacts, VmRequest
from service.placement.filters import reasons_against
from service.placement.place import place
from service.placement.scorers import SCORERS
from service.settings import PLACEMENT_WEIGHTS

POOL = PoolFacts("vms", age_s=1.0, free_bytes=1 << 40, near_full=False, full=False)
HOST = HostFacts(
    host_id="1",
    name="host1",
    state="active",
    age_s=1.0,
    problem=None,
    virt_type="qemu",
    vcpus=8,
    reserved_vcpus=1,
    allocated_vcpus=0,
    memory_mib=8192,
    reserved_memory_mib=1024,
    allocated_memory_mib=0,
    vm_count=0,
    cpu_load=None,
    osds=1,
    osds_up=1,
    osd_latency_ms=None,
)
WANT = VmRequest(vcpus=1, memory_mib=512, pool=POOL)

shares = st.none() | st.floats(0, 1)
hosts = st.builds(
    replace,
    st.just(HOST),
    state=st.sampled_from(["active", "active", "active", "cordoned", "fenced"]),
    age_s=st.none() | st.floats(0, 200),
    virt_type=st.sampled_from([None, "kvm", "qemu", "qemu"]),
    vcpus=st.integers(1, 64),
    reserved_vcpus=st.integers(0, 8),
    allocated_vcpus=st.integers(0, 64),
    memory_mib=st.integers(64, 1 << 17),
    reserved_memory_mib=st.integers(0, 1 << 13),
    allocated_memory_mib=st.integers(0, 1 << 17),
    cpu_load=shares,
    osds=st.just(4),
    osds_up=st.integers(0, 4),
    osd_latency_ms=st.none() | st.floats(0, 500),
)
clouds = st.lists(hosts, max_size=6).map(
    lambda some: [replace(host, host_id=str(number), name=f"host{number}") for number, host in enumerate(some)]
)
wants = st.builds(replace, st.just(WANT), vcpus=st.integers(1, 16), memory_mib=st.integers(64, 1 << 14))
weights = st.fixed_dictionaries({name: st.floats(0, 10) for name in SCORERS}).filter(
    lambda some: sum(some.values()) > 0
)


@given(cloud=clouds, want=wants, weights=weights)
def test_the_chosen_host_has_the_room_and_every_host_is_explained(cloud, want, weights):
    decision = place(cloud, want, weights)
    by_id = {host.host_id: host for host in cloud}
    assert sorted(verdict.host_id for verdict in decision.verdicts) == sorted(by_id)
    for verdict in decision.verdicts:
        assert bool(verdict.reasons) == (verdict.score is None)
        assert all(0 <= term <= 1 for _, term in verdict.terms)
    assert (decision.chosen is None) == all(reasons_against(host, want) for host in cloud)
    if decision.chosen is not None:
        host = by_id[decision.chosen.host_id]
        assert host.allocated_vcpus + want.vcpus <= host.vcpus - host.reserved_vcpus
        assert host.allocated_memory_mib + want.memory_mib <= host.memory_mib - host.reserved_memory_mib
        assert host.state == "active"
        assert decision.chosen.score == max(one.score for one in decision.verdicts if one.score is not None)


@given(cloud=clouds, want=wants, weights=weights, data=st.data())
def test_the_order_of_the_hosts_changes_nothing(cloud, want, weights, data):
    assert place(data.draw(st.permutations(cloud)), want, weights) == place(cloud, want, weights)


@given(host=hosts, want=wants, weights=weights, more=st.integers(0, 64), freed=st.integers(0, 64))
def test_more_headroom_never_scores_lower(host, want, weights, more, freed):
    roomier = replace(
        host,
        memory_mib=host.memory_mib + more * 64,
        allocated_vcpus=max(0, host.allocated_vcpus - freed),
        allocated_memory_mib=max(0, host.allocated_memory_mib - freed * 64),
    )
    before, after = (place([one], want, weights).verdicts[0] for one in (host, roomier))
    assert before.score is None or after.score >= before.score - 1e-6


@given(host=hosts, want=wants, better=st.floats(0, 1))
def test_a_quieter_host_never_scores_lower(host, want, better):
    quieter = replace(
        host,
        cpu_load=None if host.cpu_load is None else host.cpu_load * better,
        osd_latency_ms=None if host.osd_latency_ms is None else host.osd_latency_ms * better,
        osds_up=host.osds,
    )
    assert all(score(quieter, want) >= score(host, want) for score in SCORERS.values())


@settings(max_examples=30)
@given(cloud=clouds.filter(bool), count=st.integers(1, 40))
def test_placing_one_after_another_never_exceeds_a_host(cloud, count):
    for _ in range(count):
        decision = place(cloud, WANT, PLACEMENT_WEIGHTS)
        if decision.chosen is None:
            break
        cloud = [
            replace(
                host,
                allocated_vcpus=host.allocated_vcpus + WANT.vcpus,
                allocated_memory_mib=host.allocated_memory_mib + WANT.memory_mib,
            )
            if host.host_id == decision.chosen.host_id
            else host
            for host in cloud
        ]
        chosen = next(host for host in cloud if host.host_id == decision.chosen.host_id)
        assert chosen.free_vcpus >= 0
        assert chosen.free_memory_mib >= 0


@pytest.mark.parametrize(
    ("host", "want", "reason"),
    [
        ({}, {"only_host": "2"}, "another host was asked for"),
        ({}, {"excluded_hosts": frozenset({"1"})}, "the VM is here already"),
        ({}, {"allowed_hosts": frozenset({"2"})}, "in no host group of the project"),
        ({}, {"allowed_hosts": frozenset()}, "in no host group of the project"),
        ({"state": "draining"}, {}, "host is draining"),
        ({"age_s": None}, {}, "never observed"),
        ({"age_s": None, "problem": "no route"}, {}, "never observed: no route"),
        ({"age_s": 61.0}, {}, "facts are 61 s old, at most 60 s are trusted"),
        ({"age_s": 61.0, "problem": "no route"}, {}, "facts are 61 s old, at most 60 s are trusted: no route"),
        ({"virt_type": None}, {}, "not yet known whether KVM works here"),
        ({}, {"virt_type": "kvm"}, "runs qemu guests, the VM was started as kvm"),
        ({}, {"memory_mib": 7169}, "1 MiB of memory short (7168 MiB free)"),
        ({}, {"vcpus": 8}, "1 vCPU short (7 free)"),
        ({}, {"pool": replace(POOL, full=True)}, "pool vms is full"),
        ({}, {"pool": replace(POOL, age_s=None)}, "pool vms was never observed"),
        ({}, {"pool": replace(POOL, age_s=61.0)}, "pool vms was seen 61 s ago, at most 60 s are trusted"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_filter_says_why_not_in_words_and_numbers(host, want, reason):
    assert reasons_against(replace(HOST, **host), replace(WANT, **want)) == (reason,)


def test_all_reasons_are_told_at_once():
    host = replace(HOST, state="fenced", virt_type=None)
    assert len(reasons_against(host, replace(WANT, vcpus=100, memory_mib=1 << 20))) == 4


def test_a_host_that_fits_exactly_is_taken():
    assert reasons_against(HOST, replace(WANT, vcpus=7, memory_mib=7168)) == ()


def test_no_host_is_no_choice():
    assert place([], WANT, PLACEMENT_WEIGHTS).chosen is None


def test_equal_hosts_are_told_apart_by_name():
    cloud = [replace(HOST, host_id="9", name="b"), replace(HOST, host_id="1", name="a")]
    assert place(cloud, WANT, PLACEMENT_WEIGHTS).chosen.host_name == "a"


def test_a_slow_disk_outweighs_a_little_more_memory():
    slow = replace(HOST, name="slow", host_id="s", osd_latency_ms=45.0, allocated_memory_mib=0)
    quick = replace(HOST, name="quick", host_id="q", osd_latency_ms=2.0, allocated_memory_mib=1024)
    assert place([slow, quick], WANT, PLACEMENT_WEIGHTS).chosen.host_name == "quick"


def test_a_host_that_is_all_reserved_scores_nothing_and_divides_by_nothing():
    host = replace(HOST, reserved_vcpus=8, reserved_memory_mib=8192)
    assert SCORERS["cpu_headroom"](host, WANT) == SCORERS["memory_headroom"](host, WANT) == 0.0
