"""A refusal in a large cloud tells of the hosts that came nearest, and looks at no more."""

from service.placement.explain import explain, nearest_misses
from service.placement.facts import HostFacts, VmRequest
from service.placement.policy import STORAGE_CPU
from service.placement.table import HostTable

WANT = VmRequest(vcpus=64, memory_mib=1, now_s=1.0)


def host(number: int, **more) -> HostFacts:
    sound = {"state": "active", "observed_at_s": 1.0, "virt_type": "kvm", "vcpus": 8, "memory_mib": 8192}
    return HostFacts(host_id=f"h{number}", name=f"host{number:03d}", **sound | more)


def test_those_with_the_fewest_reasons_come_first_and_say_what_explain_says():
    table = HostTable([host(number, state="active" if number % 3 else "cordoned") for number in range(300)])
    told = nearest_misses(table, WANT, STORAGE_CPU, 100)
    assert [one.host_name for one in told[:3]] == ["host001", "host002", "host004"]
    assert (len(told), {len(one.reasons) for one in told}) == (100, {1})
    everything = {one.host_name: one.reasons for one in explain(table, WANT, STORAGE_CPU)}
    assert all(everything[one.host_name] == one.reasons for one in told)


def test_all_are_told_where_they_are_few():
    table = HostTable([host(1, state="cordoned"), host(2)])
    assert [len(one.reasons) for one in nearest_misses(table, WANT, STORAGE_CPU, 100)] == [1, 2]
