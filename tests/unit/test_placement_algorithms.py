"""The built-in algorithms: what each prefers, and that none takes a host that is ruled out."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import algorithm_names
from service.placement.algorithms.pack import PACK
from service.placement.algorithms.registry import BUILT_IN, built_in
from service.placement.algorithms.round_robin import ROUND_ROBIN
from service.placement.algorithms.spread import SPREAD
from service.placement.explain import explain
from service.placement.facts import HostFacts, HostStorage
from service.placement.place import place
from service.placement.policy import SCORERS, STORAGE_CPU
from service.placement.table import HostTable
from tests.unit.placement_world import HOST, WANT, hosts

EVERY = pytest.mark.parametrize("policy", BUILT_IN.values(), ids=BUILT_IN)
SICK = HostStorage(osds=4, osds_up=4, op_latency_ms=400.0, slow_ops=3, pgs=100, pgs_recovering=60)
WELL = HostStorage(osds=4, osds_up=4, op_latency_ms=4.0, pgs=100)


def host(name: str, **more) -> HostFacts:
    return replace(HOST, host_id=f"id-{name}", name=name, **more)


def chosen(policy, *some: HostFacts, want=WANT) -> str:
    return place(HostTable(some), want, policy).chosen.host_name


def taken_in_turn(policy, some: list[HostFacts], vms: int) -> list[str]:
    table, names = HostTable(some), []
    for _ in range(vms):
        decision = place(table, WANT, policy)
        table.claim(decision.chosen.host_id, WANT)
        names.append(decision.chosen.host_name)
    return names


def test_the_names_that_settings_may_say_are_those_that_are_there():
    assert tuple(BUILT_IN) == algorithm_names.BUILT_IN
    assert sorted(SCORERS) == sorted(algorithm_names.TERMS)


def test_spread_takes_the_emptiest_host_however_small_the_difference():
    nearly = host("a", allocated_memory_mib=100, vm_count=1)
    assert chosen(SPREAD, nearly, host("b")) == "b"
    assert chosen(STORAGE_CPU, nearly, host("b")) == "a", "about the same: the first by name"


def test_pack_takes_the_fullest_host_that_the_vm_fits_on():
    full, fuller = host("a", allocated_vcpus=7), host("b", allocated_vcpus=4, allocated_memory_mib=4096)
    assert chosen(PACK, full, fuller, host("c"), host("d", allocated_vcpus=1)) == "b"


def test_pack_takes_a_host_in_trouble_only_when_no_other_is_left():
    fuller = host("a", allocated_vcpus=4, storage=SICK)
    assert chosen(PACK, fuller, host("b", storage=WELL)) == "b"
    assert chosen(PACK, fuller, host("b", storage=WELL, state="cordoned")) == "a"


def test_in_round_robin_hosts_take_turns():
    some = [host(name) for name in "abc"]
    assert taken_in_turn(ROUND_ROBIN, some, 7) == list("abcabca")


def test_in_round_robin_a_host_that_was_passed_over_catches_up():
    some = [host("a", vm_count=2), host("b", vm_count=2), host("c")]
    assert taken_in_turn(ROUND_ROBIN, some, 4) == list("ccab")


def test_by_default_a_contended_host_is_left_out_while_others_have_room():
    some = [host(name, storage=WELL) for name in "bc"]
    assert "a" not in taken_in_turn(STORAGE_CPU, [host("a", storage=SICK), *some], 12)


def test_other_weights_are_taken_for_the_algorithms_own():
    assert built_in("pack") is PACK
    assert built_in("pack", {"balance": 1.0}).weights == {"balance": 1.0}
    assert built_in("pack", {"balance": 1.0}).pick is PACK.pick
    with pytest.raises(ValueError, match="unknown scorer luck: known are osd_latency"):
        built_in("pack", {"luck": 1.0})


@EVERY
@given(st.lists(hosts, max_size=6, unique_by=lambda one: one.name))
@settings(deadline=None, max_examples=60)
def test_none_takes_a_host_that_is_ruled_out_and_equal_facts_give_an_equal_decision(policy, some):
    decision = place(HostTable(some), WANT, policy)
    fit = {verdict.host_id for verdict in explain(HostTable(some), WANT, policy) if not verdict.reasons}
    assert (decision.chosen is not None) == bool(fit)
    assert decision.chosen is None or decision.chosen.host_id in fit
    assert place(HostTable(reversed(some)), WANT, policy) == decision
    assert decision.fallback is None
