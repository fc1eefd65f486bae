"""The replay of a trace: its order, its bounds, and that ours and the classics play by the same rules."""

import gzip

import pytest

from bench import packing_online, placement_facts, trace
from bench.packing_online import CLASSICS, MEMORY_MIB, VCPUS, Classic, Ours
from bench.trace import Asked, made_of

HOUR_S = 3600.0


def vm(begin_s: float, end_s: float | None, vcpus: int = VCPUS, memory_mib: int = 1024) -> Asked:
    return Asked(f"{begin_s}", begin_s, end_s, vcpus, memory_mib)


def clouds(hosts: int) -> list:
    facts = [placement_facts.host(number, vcpus=VCPUS, memory_mib=MEMORY_MIB) for number in range(hosts)]
    return [Ours(facts), *(Classic(rule, hosts) for rule in CLASSICS.values())]


def test_whoever_goes_makes_room_for_who_comes_at_the_same_moment():
    replayed = made_of([vm(0, HOUR_S), vm(HOUR_S, None)])
    assert replayed.peaks() == (VCPUS, 1024)
    for cloud in clouds(1):
        assert packing_online._replay(replayed, cloud).refusals == 0


def test_what_does_not_fit_is_refused_and_counted_in_gib_hours():
    replayed = made_of([vm(0, None), vm(0, HOUR_S, memory_mib=3072), vm(HOUR_S, None)])
    for cloud in clouds(1):
        outcome = packing_online._replay(replayed, cloud)
        assert (outcome.refusals, outcome.accepted, outcome.refused) == (2, 1.0, 3.0)


def test_as_many_hosts_are_needed_as_vms_that_fill_one():
    replayed = made_of([vm(0, None), vm(1, None), vm(2, None)])
    for kind in range(4):
        assert packing_online._needed(replayed, 1, lambda hosts, kind=kind: clouds(hosts)[kind]) == 3


def test_first_best_and_worst_fit_are_what_they_are_called():
    for name, second in (("first-fit", 0), ("best-fit", 1), ("worst-fit", 2)):
        cloud = Classic(CLASSICS[name], 3)
        cloud.give_back(0, -10, -1024)
        cloud.give_back(1, -20, -1024)
        assert cloud.take(4, 1024) == second


def test_ours_gives_back_what_it_took():
    cloud = clouds(1)[0]
    for _ in range(3):
        assert cloud.take(VCPUS, MEMORY_MIB) == 0
        assert cloud.take(1, 1) is None
        cloud.give_back(0, VCPUS, MEMORY_MIB)


def test_equal_seeds_make_equal_facts_and_a_tenth_of_the_hosts_is_contended():
    contended = placement_facts.some(50, 0.1, seed=3)
    assert len(contended) == 5
    hosts = [placement_facts.host(number, vcpus=4, memory_mib=1024) for number in range(50)]
    stirred = placement_facts.stirred(hosts, contended, seed=3)
    assert stirred == placement_facts.stirred(hosts, contended, seed=3)
    slow = {place for place, host in enumerate(stirred) if host.storage.op_latency_ms >= 60}
    assert slow == contended


def test_without_a_trace_nothing_is_compared_and_it_is_said(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("TRACE", raising=False)
    assert list(packing_online.run()) == []
    monkeypatch.setenv("TRACE", str(tmp_path / "nowhere.csv.gz"))
    assert list(packing_online.run()) == []
    told = capsys.readouterr().err
    assert "TRACE=file.csv.gz is not set" in told
    assert "nowhere.csv.gz is not there" in told


@pytest.mark.parametrize(("part", "batches"), [("1/2", {"a", "c"}), ("2/2", {"b"}), ("1/1", {"a", "b", "c"})])
def test_a_part_of_a_trace_is_made_of_whole_batches(monkeypatch, tmp_path, part, batches):
    path = tmp_path / "trace.csv.gz"
    rows = [
        "vmid,batch,t_create_s,t_end_s,vcpu,mem_mib",
        "1,a,0,,1,512",
        "2,b,0,9,2,512.5",
        "3,a,1,5,1,1",
        "4,c,2,,1,1",
    ]
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    monkeypatch.setenv("TRACE", str(path))
    monkeypatch.setenv("TRACE_PART", part)
    assert {one.batch for one in trace.from_environment().vms} == batches
