"""The table: after whatever happened to it, it is what a table built afresh would be."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.placement import ranking, table
from service.placement.explain import explain
from service.placement.place import place
from service.placement.policy import STORAGE_CPU, Policy
from service.placement.table import HostTable
from tests.unit.placement_world import HOST, NOW_S, WANT, clouds, hosts, wants

OTHER = Policy("other", {"memory_free": 1.0, "osd_latency": 1.0})


def changes(data, cloud):
    """One change of a cloud, to a dict of hosts and to a table alike."""
    kind = data.draw(st.sampled_from(["put", "put", "put", "ages", "claim", "claim", "remove", "new"]))
    if kind == "new":
        number = data.draw(st.integers(20, 25))
        return "put", replace(data.draw(hosts), host_id=f"id{number}", name=f"host{number}")
    if not cloud:
        return "none", None
    host = cloud[data.draw(st.sampled_from(sorted(cloud)))]
    if kind == "put":
        return "put", replace(data.draw(hosts), host_id=host.host_id, name=host.name)
    if kind == "ages":
        seen_at_s = st.sampled_from([NOW_S - 70, NOW_S - 31, NOW_S])
        return "ages", {one: (data.draw(seen_at_s), data.draw(st.none() | seen_at_s)) for one in sorted(cloud)}
    return kind, host


def apply(what, value, cloud, changed, want):
    if what == "put":
        cloud[value.host_id] = value
        changed.put(value)
    elif what == "remove":
        del cloud[value.host_id]
        changed.remove(value.host_id)
    elif what == "claim":
        changed.claim(value.host_id, want)
        cloud[value.host_id] = changed.facts(value.host_id)
        assert cloud[value.host_id].allocated_vcpus == value.allocated_vcpus + want.vcpus
    elif what == "ages":
        changed.observed(value)
        for host_id, (seen_at_s, storage_at_s) in value.items():
            cloud[host_id] = replace(cloud[host_id], observed_at_s=seen_at_s, storage_observed_at_s=storage_at_s)


@settings(max_examples=200)
@given(cloud=clouds, some=st.lists(wants, min_size=1, max_size=3), data=st.data())
def test_after_any_changes_the_table_decides_as_one_built_afresh(cloud, some, data):
    changed, facts = HostTable(cloud), {host.host_id: host for host in cloud}
    for _ in range(data.draw(st.integers(1, 12))):
        want = data.draw(st.sampled_from(some))
        apply(*changes(data, facts), facts, changed, want)
        afresh = HostTable(facts.values())
        want = replace(want, now_s=data.draw(st.sampled_from([NOW_S, NOW_S + 29, NOW_S + 60])))
        for policy in (STORAGE_CPU, OTHER):
            assert place(changed, want, policy) == place(afresh, want, policy)
        assert explain(changed, want, STORAGE_CPU) == explain(afresh, want, STORAGE_CPU)
        assert changed.hosts() == afresh.hosts() == sorted(facts.values(), key=lambda host: host.name)


@given(cloud=clouds.filter(bool), want=wants)
def test_what_happens_to_a_copy_does_not_happen_to_the_table(cloud, want):
    first = HostTable(cloud)
    before = explain(first, want, STORAGE_CPU)
    twin = first.copy()
    assert explain(twin, want, STORAGE_CPU) == before
    twin.claim(cloud[0].host_id, want)
    twin.put(replace(cloud[0], state="down", projects={"x": 1}))
    twin.observed({cloud[-1].host_id: (NOW_S + 5, None)})
    twin.remove(cloud[-1].host_id)
    assert explain(first, want, STORAGE_CPU) == before
    assert first.hosts() == HostTable(cloud).hosts()


def many(count):
    return [replace(HOST, host_id=str(n), name=f"host{n:05d}", allocated_vcpus=n % 4) for n in range(count)]


def test_only_changed_hosts_are_looked_at_again(monkeypatch):
    first = HostTable(many(100))
    place(first, WANT, STORAGE_CPU)
    looked_at = []
    judge = ranking.Ranking._judge
    monkeypatch.setattr(
        ranking.Ranking, "_judge", lambda self, rows, *rest: looked_at.extend(rows) or judge(self, rows, *rest)
    )
    monkeypatch.delattr(ranking.Ranking, "_judge_all")
    first.put(replace(HOST, host_id="7", name="host00007", allocated_vcpus=5))
    first.claim("3", WANT)
    place(first, WANT, STORAGE_CPU)
    assert sorted(looked_at) == [3, 7]
    first.observed({str(n): (NOW_S, NOW_S) for n in range(100)})
    place(first, replace(WANT, now_s=NOW_S + 60), STORAGE_CPU)
    assert sorted(looked_at) == [3, 7]


def test_facts_grow_old_without_any_event():
    first, want = HostTable(many(3)), replace(WANT, pools=())
    first.observed({"1": (NOW_S + 10, NOW_S + 10)})
    stale = {0: 0, 59: 0, 60: 2, 70: 2, 71: 3, -5: 0}
    for later_s, hosts_out in stale.items():
        decision = place(first, replace(want, now_s=NOW_S + later_s), STORAGE_CPU)
        assert decision.reasons == ({"fresh_facts": hosts_out} if hosts_out else {})


def test_rankings_and_remembered_changes_are_bounded(monkeypatch):
    monkeypatch.setattr(ranking, "MOST_NUMBERS", 0)
    monkeypatch.setattr(table, "MOST_CHANGES", 10)
    first = HostTable(many(4))
    for number in range(100):
        want = replace(WANT, memory_mib=64 + number % 40)
        assert place(first, want, STORAGE_CPU) == place(HostTable(first.hosts()), want, STORAGE_CPU)
        first.put(replace(first.facts("2"), state=f"state{number}"))
    assert len(first.rankings) <= ranking.FEWEST_RANKINGS
    assert len(first.changed) <= 18
    assert len(first.kinds) <= 4 + 10 + 2


def test_an_unknown_host_is_no_silent_loss():
    with pytest.raises(KeyError):
        HostTable().facts("1")
    assert "1" not in HostTable()
