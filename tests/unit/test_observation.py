"""What one look at a host amounts to: loads from two counters, and what is worth writing down."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from service.hypervisor.host_backoff import Remembered
from service.hypervisor.values import HostCounters
from service.operations.observe import observation
from service.operations.observe.observation import Answer

BEFORE = HostCounters(cpus=4, busy_s=100.0, total_s=1000.0, memory_mib=8192, memory_used_mib=1000, ksm_saved_mib=0)
NOW = replace(BEFORE, busy_s=120.0, total_s=1040.0)
LOADS = {"cpu_load", "guest_cpu_load", "ceph_cpu"}


def remembered(**guests_s: float) -> Remembered:
    return Remembered(counters=BEFORE, guests_s=guests_s)


def test_what_neither_guests_nor_idleness_took_is_cephs():
    loads = observation.loads(remembered(a=10.0), NOW, {"a": 22.0}, vcpus=4)
    assert loads == {"cpu_load": 0.5, "guest_cpu_load": 0.3, "ceph_cpu": 0.2}


def test_the_first_look_tells_no_load():
    assert observation.loads(Remembered(), NOW, {}, vcpus=4) == dict.fromkeys(LOADS)


def test_a_host_that_was_started_again_tells_no_load_until_the_next_look():
    assert observation.loads(remembered(), replace(NOW, busy_s=1.0, total_s=10.0), {}, vcpus=4) == dict.fromkeys(LOADS)


def test_the_inventory_caps_what_the_computer_has():
    """Two of four CPUs are the cloud's: 20 s of 40 s of CPU time is all of them."""
    assert observation.loads(remembered(), NOW, {}, vcpus=2)["cpu_load"] == 1.0
    assert observation.loads(remembered(), NOW, {}, vcpus=64)["cpu_load"] == 0.5


def test_a_guest_that_came_counts_from_nought_and_one_that_went_does_not_count():
    loads = observation.loads(remembered(gone=500.0, again=50.0), NOW, {"new": 8.0, "again": 2.0}, vcpus=4)
    assert loads["guest_cpu_load"] == 0.2


def test_guests_never_burn_more_than_the_host_did():
    loads = observation.loads(remembered(), NOW, {"a": 1000.0}, vcpus=4)
    assert (loads["guest_cpu_load"], loads["ceph_cpu"]) == (0.5, 0.0)


@pytest.mark.parametrize("change", [{"busy_s": math.nan}, {"total_s": math.nan}, {"busy_s": math.inf}])
def test_counters_that_are_no_numbers_become_a_load_that_no_decision_believes(change):
    assert set(observation.loads(remembered(), replace(NOW, **change), {}, vcpus=4).values()) == {-1.0}
    assert set(observation.loads(remembered(), NOW, {"a": math.nan}, vcpus=4).values()) == {-1.0}


def test_memory_is_capped_by_the_inventory_and_nonsense_stays_visible():
    def facts(**change):
        return observation.facts(remembered(), Answer((), replace(NOW, **change)), vcpus=4, memory_mib=512)

    assert facts()["memory_used_mib"] == 512
    assert facts(memory_used_mib=-7)["memory_used_mib"] == -7
    assert facts(ksm_saved_mib=math.nan)["ksm_saved_mib"] == -1
    assert facts(ksm_saved_mib=None)["ksm_saved_mib"] is None


def facts(**change):
    return {"cpu_load": 0.5, "ceph_cpu": None, "memory_used_mib": 1000, "domains": 3, "strays": []} | change


@pytest.mark.parametrize(
    "change",
    [{"cpu_load": 0.519}, {"cpu_load": 0.481}, {"memory_used_mib": 1009}, {"memory_used_mib": 991}, {}],
)
def test_what_rounding_explains_is_no_change(change):
    assert not observation.differs(facts(), facts(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_load": 0.53},
        {"cpu_load": None},
        {"ceph_cpu": 0.0},
        {"memory_used_mib": 1011},
        {"domains": 4},
        {"strays": [{"vm_id": "x"}]},
        {"another": 1},
    ],
)
def test_more_than_rounding_is_a_change(change):
    assert observation.differs(facts(), facts(**change))


def test_a_host_that_becomes_idle_is_told_so():
    assert observation.differs(facts(cpu_load=0.01), facts(cpu_load=0.0))
    assert observation.differs(None, facts())
