"""Each filter says why not, in words and numbers; nonsense from a host rules out that host alone."""

from dataclasses import replace

import pytest

from service.facts import codec
from service.placement.check import nonsense
from service.placement.explain import explain
from service.placement.facts import GroupRule, HostHardware, HostLoad, HostStorage, HostUsage
from service.placement.filters import NAMES, Cloud, reasons_against
from service.placement.place import place
from service.placement.policy import STORAGE_CPU
from service.placement.table import HostTable
from tests.unit.placement_world import HOST, NOW_S, POOL, WANT

APART = GroupRule("g", "apart", "anti_affinity", hard=True)
TOGETHER = GroupRule("g", "together", "affinity", hard=True)


def some(**facts):
    return replace(HOST, **facts)


@pytest.mark.parametrize(
    ("name", "host", "want", "reason"),
    [
        ("asked_for", {}, {"only_host": "2"}, "another host was asked for"),
        ("excluded", {}, {"excluded_hosts": frozenset({"1"})}, "the VM is here already"),
        ("host_groups", {}, {"host_groups": frozenset({"2"})}, "in no host group of the project"),
        (
            "host_groups",
            {"host_groups": frozenset("3")},
            {"host_groups": frozenset()},
            "in no host group of the project",
        ),
        ("state", {"state": "draining"}, {}, "host is draining"),
        (
            "state",
            {"state": "fenced"},
            {},
            "host is fenced: it is shut out of the storage until it is known to be clean",
        ),
        ("fresh_facts", {"observed_at_s": None}, {}, "never observed"),
        ("fresh_facts", {"observed_at_s": None, "problem": "no route"}, {}, "never observed: no route"),
        ("fresh_facts", {"observed_at_s": NOW_S - 61}, {}, "facts are 61 s old, at most 60 s are trusted"),
        (
            "fresh_facts",
            {"observed_at_s": NOW_S - 61, "problem": "no route"},
            {},
            "facts are 61 s old, at most 60 s are trusted: no route",
        ),
        ("fresh_facts", {"problem": "no route"}, {}, "unreachable: no route"),
        (
            "fresh_facts",
            {"storage_observed_at_s": NOW_S - 75},
            {},
            "storage facts are 75 s old, at most 60 s are trusted",
        ),
        ("virt_type", {"virt_type": None}, {}, "not yet known whether KVM works here"),
        ("virt_type", {}, {"virt_type": "kvm"}, "runs qemu guests, the VM was started as kvm"),
        (
            "cpu_features",
            {"hardware": HostHardware(cpu_model="Skylake", cpu_features=frozenset({"sse"}))},
            {"cpu_features": frozenset({"sse", "avx512f", "avx"})},
            "CPU Skylake lacks avx, avx512f",
        ),
        (
            "firmware",
            {"hardware": HostHardware(firmwares=frozenset({"bios"}))},
            {"firmware": "uefi"},
            "has no uefi firmware for guests",
        ),
        (
            "network",
            {"hardware": HostHardware(bridges=frozenset())},
            {"bridges": frozenset({"br-guest"})},
            "has no bridge br-guest",
        ),
        ("memory", {}, {"memory_mib": 7169}, "1 MiB of memory short (7168 MiB free)"),
        ("vcpus", {}, {"vcpus": 8}, "1 vCPU short (7 free)"),
        ("local_disk", {}, {"local_disk_bytes": 1}, "free space of the local disk is not known"),
        (
            "local_disk",
            {"hardware": HostHardware(local_disk_free_bytes=10)},
            {"local_disk_bytes": 11},
            "1 bytes of local disk short (10 free)",
        ),
        ("pools", {}, {"pools": (replace(POOL, full=True),)}, "pool vms is full"),
        ("pools", {}, {"pools": (replace(POOL, near_full=True),)}, "pool vms is nearly full: it takes no new data"),
        ("pools", {}, {"pools": (POOL, replace(POOL, name="x", observed_at_s=None))}, "pool x was never observed"),
        (
            "pools",
            {},
            {"pools": (replace(POOL, observed_at_s=NOW_S - 61),)},
            "pool vms was seen 61 s ago, at most 60 s are trusted",
        ),
        (
            "migrations",
            {"migrations": 2},
            {"moves": True},
            "2 migrations in flight, at most 2 are allowed at once",
        ),
        ("anti_affinity", {"members": {"g": 2}}, {"rules": (APART,)}, "anti-affinity 'apart': 2 of its VMs run here"),
        ("affinity", {}, {"rules": (TOGETHER,)}, "affinity 'together': its VMs run on host2"),
        ("sane_facts", {"load": HostLoad(cpu_load=float("nan"))}, {}, "reports nonsense: cpu_load is nan"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_filter_says_why_not_in_words_and_numbers(name, host, want, reason):
    other = some(host_id="2", name="host2", members={"g": 1}, state="down")
    table, want = HostTable([some(**host), other]), replace(WANT, **want)
    verdict = next(one for one in explain(table, want, STORAGE_CPU) if one.host_name == "host1")
    assert (verdict.reasons, verdict.score) == ((reason,), None)
    assert place(table, want, STORAGE_CPU).reasons[name] >= 1


def test_every_filter_has_its_words_above():
    marks = test_each_filter_says_why_not_in_words_and_numbers.pytestmark
    told = {case[0] for mark in marks if mark.name == "parametrize" for case in mark.args[1]}
    assert told == set(NAMES) - {"keep_room"}


def test_a_move_goes_on_without_the_storages_facts():
    assert reasons_against(some(storage_observed_at_s=1.0), replace(WANT, moves=True), Cloud()) == {}


def test_bridges_that_are_not_known_rule_nothing_out():
    assert (
        reasons_against(some(hardware=HostHardware(bridges=None)), replace(WANT, bridges=frozenset({"br0"})), Cloud())
        == {}
    )


def test_all_reasons_are_told_at_once():
    host = some(state="fenced", virt_type=None)
    told = reasons_against(host, replace(WANT, vcpus=100, memory_mib=1 << 20), Cloud())
    assert set(told) == {"state", "virt_type", "memory", "vcpus"}


def test_a_host_that_fits_exactly_is_taken():
    assert reasons_against(HOST, replace(WANT, vcpus=7, memory_mib=7168), Cloud()) == {}


def test_ratios_count_on_what_the_reservation_leaves_and_memory_as_far_as_it_is_saved():
    host = some(vcpus=101, reserved_vcpus=1, vcpu_ratio=1.15, memory_mib=10240, reserved_memory_mib=2048)
    assert host.usable_vcpus == 115
    assert replace(host, memory_ratio=1.5).usable_memory_mib == 8192
    assert replace(host, memory_ratio=1.5, usage=HostUsage(ksm_saved_mib=1000)).usable_memory_mib == 9192
    assert replace(host, memory_ratio=1.5, usage=HostUsage(ksm_saved_mib=9000)).usable_memory_mib == 12288
    assert replace(host, memory_ratio=0.5).usable_memory_mib == 4096
    assert replace(host, reserved_memory_mib=20480, reserved_vcpus=200).free_memory_mib == 0


def test_an_affinity_group_whose_only_member_moves_ties_it_to_nothing():
    home = some(members={"g": 1})
    away = some(host_id="2", name="host2")
    want = replace(WANT, pools=(), moves=True, excluded_hosts=frozenset({"1"}), rules=(TOGETHER,))
    assert place(HostTable([home, away]), want, STORAGE_CPU).chosen.host_name == "host2"
    with_another = replace(home, members={"g": 2})
    assert place(HostTable([with_another, away]), want, STORAGE_CPU).chosen is None


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"vcpus": -1}, "vcpus is -1"),
        ({"memory_mib": 1 << 50}, f"memory_mib is {1 << 50}"),
        ({"vcpus": True}, "vcpus is True"),
        ({"vcpu_ratio": 0.0}, "vcpu_ratio is 0.0"),
        ({"memory_ratio": NAN}, "memory_ratio is nan"),
        ({"observed_at_s": NAN}, "observed_at_s is nan"),
        ({"observed_at_s": INF}, "observed_at_s is inf"),
        ({"load": HostLoad(cpu_load=1.5)}, "cpu_load is 1.5"),
        ({"load": HostLoad(cpu_load="much")}, "cpu_load is 'much'"),
        ({"hardware": HostHardware(local_disk_free_bytes=-5)}, "local_disk_free_bytes is -5"),
        ({"storage": HostStorage(op_latency_ms=NAN)}, "op_latency_ms is nan"),
        ({"storage": HostStorage(op_latency_ms=INF)}, "op_latency_ms is inf"),
        ({"storage": HostStorage(op_latency_ms=-1.0)}, "op_latency_ms is -1.0"),
        ({"storage": HostStorage(osds=1, osds_up=2)}, "2 of 1 OSDs are up"),
        ({"storage": HostStorage(pgs=1, pgs_recovering=2)}, "2 of 1 PGs are degraded or recovering"),
        ({"storage": HostStorage(slow_ops="lots")}, "slow_ops is 'lots'"),
        ({"storage": HostStorage(local_reads={"vms": 1.1})}, "local_reads of vms is 1.1"),
        ({"usage": HostUsage(cpu_peak=-0.5)}, "cpu_peak is -0.5"),
        ({"usage": HostUsage(ksm_saved_mib=1.5)}, "ksm_saved_mib is 1.5"),
    ],
    ids=str,
)
def test_nonsense_rules_out_its_host_alone(facts, told):
    broken, sound = some(**facts), some(host_id="2", name="host2")
    assert nonsense(broken) == told
    table = HostTable([sound])
    table.put(broken)
    decision = place(table, WANT, STORAGE_CPU)
    assert decision.chosen.host_name == "host2"
    assert decision.reasons == {"sane_facts": 1}
    table.put(HOST)
    assert place(table, WANT, STORAGE_CPU).reasons == {}


def test_what_is_read_from_json_is_taken_as_it_is_and_judged_later():
    seen = codec.read(HostStorage, {"osds": "four", "unheard_of": 1, "local_reads": None})
    assert seen.osds == "four"
    assert nonsense(some(storage=seen)) == "osds is 'four'"
    assert nonsense(some(storage=replace(seen, osds=4))) == "local_reads is None"
    assert codec.read(HostUsage, None) is None
