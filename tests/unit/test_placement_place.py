"""The decision: never over capacity, equal for equal input, explained for every host, as a plain loop would decide."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import naive_placement as naive
from service.placement.batch import all_fit, place_batch
from service.placement.explain import explain
from service.placement.facts import GroupRule, HostLoad, HostStorage, HostUsage
from service.placement.place import place
from service.placement.policy import STORAGE_CPU, PickFailedError, Policy
from service.placement.table import HostTable
from tests.unit.placement_world import HOST, POOL, WANT, clouds, hosts, policies, wants

SPREAD = Policy("spread", {"vcpus_free": 1.0, "memory_free": 1.0, "spreading": 1.0})


@settings(max_examples=150)
@given(cloud=clouds, want=wants, policy=policies)
def test_the_decision_is_what_one_host_after_the_other_gives(cloud, want, policy):
    assert place(HostTable(cloud), want, policy) == naive.place(cloud, want, policy)


@settings(max_examples=200)
@given(cloud=clouds, want=wants, policy=policies)
def test_every_host_is_explained_by_reasons_or_by_its_score(cloud, want, policy):
    table = HostTable(cloud)
    verdicts, decision = explain(table, want, policy), place(table, want, policy)
    assert verdicts == naive.explain(cloud, want, policy)
    assert sorted(one.host_id for one in verdicts) == sorted(host.host_id for host in cloud)
    assert all(bool(one.reasons) == (one.score is None) for one in verdicts)
    assert all(0 <= term <= 1 for one in verdicts for _, term in one.terms)
    assert decision.top == tuple(one for one in verdicts if not one.reasons)[:5]


@given(cloud=clouds, want=wants, data=st.data())
def test_the_order_of_the_hosts_changes_nothing(cloud, want, data):
    mixed = HostTable(data.draw(st.permutations(cloud)))
    assert place(mixed, want, STORAGE_CPU) == place(HostTable(cloud), want, STORAGE_CPU)


@given(cloud=clouds, want=wants)
def test_the_chosen_host_has_the_room_and_nothing_fits_only_if_every_host_is_ruled_out(cloud, want):
    table = HostTable(cloud)
    decision = place(table, want, STORAGE_CPU)
    if decision.chosen is None:
        assert all(one.reasons for one in explain(table, want, STORAGE_CPU))
        return
    host = table.facts(decision.chosen.host_id)
    assert host.free_vcpus >= want.vcpus
    assert host.free_memory_mib >= want.memory_mib
    assert host.state == "active"


@given(
    host=hosts,
    want=wants,
    policy=st.sampled_from([STORAGE_CPU, SPREAD]),
    more=st.integers(0, 64),
    freed=st.integers(0, 64),
)
def test_more_headroom_never_scores_lower(host, want, policy, more, freed):
    roomier = replace(
        host,
        memory_mib=host.memory_mib + more * 64,
        allocated_vcpus=max(0, host.allocated_vcpus - freed),
        allocated_memory_mib=max(0, host.allocated_memory_mib - freed * 64),
    )
    want = replace(want, keep_room=False)
    before, after = (explain(HostTable([one]), want, policy)[0] for one in (host, roomier))
    assert before.score is None or after.score >= before.score


@given(host=hosts, want=wants, better=st.floats(0, 1))
def test_a_quieter_host_never_scores_lower(host, want, better):
    busy = replace(
        host,
        load=HostLoad(cpu_load=0.5),
        usage=HostUsage(0.5, 0.8, 0.6, 0.2),
        storage=HostStorage(osds=4, osds_up=3, op_latency_ms=80.0, slow_ops=2, ping_ms=9.0, pgs=50, pgs_degraded=20),
    )
    quieter = replace(
        busy,
        load=HostLoad(cpu_load=0.5 * better),
        usage=HostUsage(0.5 * better, 0.8 * better, 0.6 * better, 0.2 * better),
        storage=HostStorage(
            osds=4,
            osds_up=4,
            op_latency_ms=max(1.0, 80.0 * better),
            slow_ops=int(2 * better),
            ping_ms=9.0 * better,
            pgs=50,
            pgs_degraded=int(20 * better),
        ),
    )
    before, after = (explain(HostTable([one]), want, STORAGE_CPU)[0] for one in (busy, quieter))
    assert (before.score is None) == (after.score is None)
    assert before.score is None or after.score >= before.score


@settings(max_examples=50)
@given(cloud=clouds.filter(bool), want=wants, count=st.integers(1, 40))
def test_placing_one_after_another_never_exceeds_a_host(cloud, want, count):
    table = HostTable(cloud)
    before = {host.host_id: host for host in table.hosts()}
    for _ in range(count):
        decision = place(table, want, STORAGE_CPU)
        if decision.chosen is None:
            break
        table.claim(decision.chosen.host_id, want)
    for host in table.hosts():
        taken = host.vm_count - before[host.host_id].vm_count
        assert host.allocated_vcpus == before[host.host_id].allocated_vcpus + taken * want.vcpus
        assert not taken or (host.free_vcpus >= 0 and host.free_memory_mib >= 0)


@settings(max_examples=100)
@given(cloud=clouds, some=st.lists(wants, max_size=8), all_or_nothing=st.booleans())
def test_a_batch_is_placed_one_after_the_other_and_leaves_the_table_as_it_was(cloud, some, all_or_nothing):
    table, before = HostTable(cloud), HostTable(cloud).hosts()
    decisions = place_batch(table, some, STORAGE_CPU, all_or_nothing=all_or_nothing)
    assert table.hosts() == before
    step, expected = HostTable(cloud), []
    for want in some:
        expected.append(place(step, want, STORAGE_CPU))
        if expected[-1].chosen is not None:
            step.claim(expected[-1].chosen.host_id, want)
        elif all_or_nothing:
            break
    assert decisions == expected
    assert all_fit(decisions) == all(one.chosen is not None for one in expected)
    assert not all_or_nothing or all_fit(decisions[:-1])
    assert [place(table, want, STORAGE_CPU) for want in some] == [
        place(HostTable(cloud), want, STORAGE_CPU) for want in some
    ]


def test_no_host_is_no_choice():
    decision = place(HostTable(), WANT, STORAGE_CPU)
    assert (decision.chosen, decision.top, decision.reasons, decision.hosts) == (None, (), {}, 0)


def test_equal_hosts_are_told_apart_by_name():
    cloud = [replace(HOST, host_id="9", name="b"), replace(HOST, host_id="1", name="a")]
    assert place(HostTable(cloud), WANT, STORAGE_CPU).chosen.host_name == "a"


def test_reasons_are_counted_by_filter():
    cloud = [
        HOST,
        replace(HOST, host_id="2", name="host2", state="fenced", virt_type=None),
        replace(HOST, host_id="3", name="host3", state="down"),
        replace(HOST, host_id="4", name="host4", load=HostLoad(cpu_load=float("nan"))),
    ]
    decision = place(HostTable(cloud), WANT, STORAGE_CPU)
    assert decision.reasons == {"state": 2, "virt_type": 1, "sane_facts": 1}
    assert decision.hosts == 4


@pytest.mark.parametrize(
    "contended",
    [
        {"storage": HostStorage(osds=1, osds_up=1, op_latency_ms=400.0, pgs=64)},
        {"storage": HostStorage(osds=1, osds_up=1, op_latency_ms=3.0, pgs=64, pgs_recovering=64)},
        {"storage": HostStorage(osds=1, osds_up=1, op_latency_ms=3.0, pgs=64, slow_ops=9)},
    ],
    ids=["slow disk", "recovery", "slow operations"],
)
def test_a_contended_host_loses_against_an_idle_one_that_is_half_full(contended):
    slow = replace(HOST, name="a-slow", host_id="s", **contended)
    quick = replace(HOST, name="quick", host_id="q", allocated_memory_mib=3584, allocated_vcpus=4)
    quick = replace(quick, storage=HostStorage(osds=1, osds_up=1, op_latency_ms=3.0, pgs=64))
    assert place(HostTable([slow, quick]), WANT, STORAGE_CPU).chosen.host_name == "quick"


def test_a_policy_may_pick_otherwise_among_the_hosts_that_are_left():
    cloud = [replace(HOST, host_id=str(n), name=f"host{n}") for n in range(3)]
    cloud[2] = replace(cloud[2], state="down")
    seen = []

    def last(table, want, scores):
        seen.append(scores.tolist())
        scores[:] = 0
        return 1

    policy = Policy("last", {"vcpus_free": 1.0}, pick=last)
    table = HostTable(cloud)
    assert [place(table, WANT, policy).chosen.host_name for _ in range(2)] == ["host1", "host1"]
    assert seen[0] == seen[1]
    assert seen[0][0] == seen[0][1] > 0 > seen[0][2]


@pytest.mark.parametrize(
    ("row", "told"), [(2, "picked host host2, which is ruled out"), (9, "picked row 9 of 3"), (-1, "-1 of 3")]
)
def test_an_algorithm_that_picks_what_it_may_not_is_replaced_by_storage_cpu(row, told):
    cloud = [replace(HOST, host_id=str(n), name=f"host{n}", state="down" if n == 2 else "active") for n in range(3)]
    decision = place(HostTable(cloud), WANT, Policy("odd", {"vcpus_free": 1.0}, pick=lambda *_: row))
    assert told in decision.fallback
    assert decision == replace(place(HostTable(cloud), WANT, STORAGE_CPU), fallback=decision.fallback)


def test_an_algorithm_that_fails_is_replaced_by_storage_cpu_loudly():
    def fail(*_):
        raise PickFailedError("no answer in 2 s")

    policy = Policy("exec:/x", {"vcpus_free": 1.0}, pick=fail)
    decision = place(HostTable([HOST]), WANT, policy)
    assert decision.fallback == "exec:/x: no answer in 2 s; decided by storage_cpu"
    assert (decision.algorithm, decision.chosen.host_name) == ("storage_cpu", "host1")
    assert place(HostTable([replace(HOST, state="down")]), WANT, policy).fallback is None


def test_soft_rules_draw_together_or_apart_and_rule_out_nobody():
    with_member = replace(HOST, host_id="2", name="host2", members={"g": 1})
    table = HostTable([HOST, with_member])
    together = replace(WANT, rules=(GroupRule("g", "together", "affinity", hard=False),))
    apart = replace(WANT, rules=(GroupRule("g", "apart", "anti_affinity", hard=False),))
    assert place(table, together, STORAGE_CPU).chosen.host_name == "host2"
    assert place(table, apart, STORAGE_CPU).chosen.host_name == "host1"
    assert len(place(table, apart, STORAGE_CPU).top) == 2


def test_room_is_kept_for_the_largest_host():
    cloud = [replace(HOST, host_id=str(n), name=f"host{n}", memory_mib=9216) for n in range(2)]
    want = replace(WANT, keep_room=True, memory_mib=8192)
    assert place(HostTable(cloud), want, STORAGE_CPU).chosen is not None
    decision = place(HostTable(cloud), replace(want, memory_mib=8193), STORAGE_CPU)
    assert decision.chosen is None
    assert decision.reasons == {"memory": 2, "keep_room": 2}
    half = [replace(host, allocated_memory_mib=4096) for host in cloud]
    full = explain(HostTable(half), replace(want, memory_mib=512), STORAGE_CPU)[0].reasons
    assert full == ("7680 MiB would be free in all, 8192 MiB are kept for the loss of the largest host",)


def test_a_nearly_full_pool_takes_no_new_vm_and_stops_no_move():
    near_full = replace(WANT, pools=(replace(POOL, near_full=True),))
    table = HostTable([HOST])
    assert place(table, near_full, STORAGE_CPU).reasons == {"pools": 1}
    assert place(table, replace(WANT, pools=(), moves=True), STORAGE_CPU).chosen is not None


@pytest.mark.parametrize("weights", [{}, {"luck": 1.0}, {"balance": -1.0}, {"balance": 0.0}, {"balance": float("nan")}])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match=r"known are|finite"):
        Policy("some", weights)


def test_a_policys_hash_tells_algorithm_and_proportions_of_weights():
    policy = Policy("a", {"balance": 1.0, "trend": 2.0})
    assert policy.hash == Policy("a", {"trend": 4.0, "balance": 2.0}).hash
    assert len({policy.hash, Policy("b", policy.weights).hash, Policy("a", {"balance": 1.0, "trend": 2.1}).hash}) == 3
