"""Facts of a host: one declaration gives the stored JSON, the API's models, the metrics and the history."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.api.metrics import host_metrics
from service.api.models import history, hosts
from service.db.measurements import HOSTS
from service.facts import codec
from service.facts.fact import facts_of, names_of
from service.facts.host import COLUMNS, HostHardware, HostLink, HostLoad, HostStorage, HostUsage, NumaCell
from service.hypervisor.libvirt_link import host_facts as libvirt_facts
from service.hypervisor.values import HypervisorFacts
from service.operations.observe import observation
from service.operations.placement import external_protocol
from service.placement import columns
from service.placement.check import MOST, bounds_of, nonsense
from service.placement.facts import HostFacts, VmRequest
from service.placement.host_row import numbers_of
from service.placement.place import Verdict
from service.placement.plain import host_facts, plain
from service.placement.policy import SCORERS
from service.views.hosts import show_facts

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/reference"
# As an earlier version stored it.
OLD_HARDWARE = {
    "cpus": 4, "memory_mib": 8192, "cpu_model": "Nehalem", "cpu_features": ["aes", "sse2"], "libvirt_version": "9.0.0",
    "qemu_version": "7.2.22", "firmwares": ["bios"], "numa": [{"number": 0, "cpus": 4, "memory_mib": 8192}],
    "bridges": None, "links": [{"name": "eth0", "up": True, "speed_mbit": None}], "local_disk_free_bytes": None,
}  # fmt: skip
HARDWARE = HostHardware(
    cpu_model="Nehalem",
    cpus=4,
    memory_mib=8192,
    numa=(NumaCell(0, 4, 8192),),
    firmwares=frozenset({"bios"}),
    links=(HostLink("eth0", True),),
    libvirt_version="9.0.0",
    qemu_version="7.2.22",
    cpu_features=frozenset({"aes", "sse2"}),
)
HOST = HostFacts(host_id="1", name="host1", state="active", observed_at_s=1.0, vcpus=8, memory_mib=8192)


def schema(name: str) -> dict:
    return json.loads((DOCS / "openapi.json").read_text())["components"]["schemas"][name]["properties"]


def test_hardware_that_an_earlier_version_stored_is_read_and_written_alike():
    assert codec.decode(HostHardware, OLD_HARDWARE) == HARDWARE
    assert OLD_HARDWARE.items() <= codec.encode(HARDWARE).items()


def test_missing_members_have_their_default_and_unknown_ones_are_left_out():
    assert codec.decode(HostHardware, {}) == HostHardware()
    assert codec.decode(HostLoad, {"cpu_load": 0.5, "strays": [], "a later one": 1}) == HostLoad(cpu_load=0.5)
    assert codec.read(HostUsage, None) is None
    assert codec.decode(HostHardware, {"cpu_features": None}).cpu_features == frozenset()


@pytest.mark.parametrize(
    "value", [HARDWARE, HostLoad(cpu_load=0.25), HostStorage(local_reads={"vms": 0.5}), HostUsage()]
)
def test_a_value_is_the_same_after_json_with_and_without_its_defaults(value):
    for document in (codec.encode(value), codec.compact(value)):
        assert codec.decode(type(value), json.loads(json.dumps(document))) == value
    assert codec.compact(type(value)()) == {}


def test_a_journal_page_of_an_earlier_version_is_read():
    old = {
        "host_id": "1", "name": "host1", "state": "active", "observed_at_s": 1.0, "vcpus": 8, "memory_mib": 8192,
        "cpu_load": 0.5, "cpu_model": "Nehalem", "cpu_features": ["aes"], "bridges": ["br0"], "projects": {"p": 1},
    }  # fmt: skip
    hardware = HostHardware(cpu_model="Nehalem", cpu_features=frozenset({"aes"}), bridges=frozenset({"br0"}))
    host = replace(HOST, load=HostLoad(cpu_load=0.5), hardware=hardware, projects={"p": 1})
    assert host_facts(old) == host
    assert host_facts(json.loads(json.dumps(plain(host)))) == host


def test_the_api_has_the_names_and_types_that_it_had():
    number, whole = [{"type": "number"}, {"type": "null"}], [{"type": "integer"}, {"type": "null"}]
    text, texts = (
        [{"type": "string"}, {"type": "null"}],
        [{"items": {"type": "string"}, "type": "array"}, {"type": "null"}],
    )
    shares = dict.fromkeys(("cpu_average", "cpu_peak", "cpu_forecast", "ceph_cpu"), number)
    hardware = {
        "cpu_model": text, "cpus": whole, "memory_mib": whole, "firmwares": texts, "bridges": texts,
        "local_disk_free_bytes": whole, "libvirt_version": text, "qemu_version": text,
    }  # fmt: skip
    expected = {
        "ShownHostUsage": {**shares, "memory_used_mib": whole, "ksm_saved_mib": whole},
        "ShownHardware": hardware,
        "ShownHostFacts": dict.fromkeys(("cpu_load", "guest_cpu_load", "ceph_cpu"), number),
        "HostPoint": {
            **dict.fromkeys(("cpu", "ceph_cpu", "guest_cpus", "osd_latency_ms"), number),
            "ksm_saved_mib": whole,
        },
        "ShownHostStorage": {"op_latency_ms": number, "ping_ms": number},
    }
    for model, members in expected.items():
        assert {name: schema(model)[name]["anyOf"] for name in members} == members
    assert {name for name, member in schema("ShownHostStorage").items() if member.get("type") == "integer"} == {
        "osds", "osds_up", "slow_ops", "pgs", "pgs_degraded", "pgs_recovering", "osd_memory_mib"
    }  # fmt: skip
    assert schema("ShownHardware")["numa"]["anyOf"][0]["items"] == {"$ref": "#/components/schemas/ShownNumaCell"}


def test_models_refuse_what_is_of_another_type():
    usage = dict.fromkeys(names_of(HostUsage))
    assert hosts.ShownHostUsage.model_validate(usage | {"cpu_peak": 0.5}).model_dump()["cpu_peak"] == 0.5
    for wrong in ({"cpu_peak": "0.5"}, {"another": 1}):
        with pytest.raises(ValueError):
            hosts.ShownHostUsage.model_validate(usage | wrong)


def test_what_is_shown_of_a_row_is_what_its_model_has():
    row = SimpleNamespace(facts={"cpu_load": 0.5}, hardware=OLD_HARDWARE, storage={"osds": 1}, usage=None)
    hardware = show_facts("hardware", row)
    assert hardware.keys() == hosts.ShownHardware.model_fields.keys()
    assert hardware.items() <= {**codec.encode(HostHardware()), **OLD_HARDWARE}.items()
    assert show_facts("facts", row) == codec.encode(HostLoad(cpu_load=0.5))
    assert (show_facts("storage", row)["local_reads"], show_facts("usage", row)) == ({}, None)


def test_metrics_and_series_have_the_names_that_they_had():
    assert {name for name, _, _ in host_metrics.GAUGES} >= {
        "cpu_ratio", "cpu_average_ratio", "cpu_peak_ratio", "cpu_forecast_ratio", "ceph_cpu_ratio", "memory_used_bytes",
        "ksm_saved_bytes", "osds", "osds_up", "osd_latency_seconds", "slow_ops", "pgs_degraded", "pgs_recovering",
    }  # fmt: skip
    assert set(HOSTS.names) >= {"cpu", "ceph_cpu", "guest_cpus", "memory_used_mib", "ksm_saved_mib", "osd_latency_ms"}
    assert list(history.HostPoint.model_fields) == ["at", *HOSTS.names]


@pytest.mark.parametrize("kind", COLUMNS.values())
def test_every_fact_has_a_help_text_and_is_documented(kind):
    text = (DOCS / "host-facts.md").read_text()
    assert all(one.about.help.endswith(".") for one in facts_of(kind))
    assert [one.name for one in facts_of(kind) if f"`{one.name}`" not in text] == []
    assert [one.about.metric for one in facts_of(kind) if one.about.metric and f"_{one.about.metric}" not in text] == []


def test_every_scorer_is_documented():
    text = Path(DOCS / "placement.md").read_text().partition("## Terms")[2].partition("## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(SCORERS)


def test_bounds_follow_from_type_and_unit():
    whole, number, none = int, float, type(None)
    assert bounds_of(HostStorage)["osds"] == (frozenset({whole}), 0, MOST)
    assert bounds_of(HostStorage)["ping_ms"] == (frozenset({whole, number, none}), 0, 1e7)
    assert bounds_of(HostUsage)["cpu_peak"] == (frozenset({whole, number, none}), 0, 1)
    assert bounds_of(HostHardware).keys() >= {"cpus", "memory_mib", "local_disk_free_bytes"}
    assert nonsense(replace(HOST, hardware=HARDWARE, load=HostLoad(cpu_load=-1.0))) == "cpu_load is -1.0"
    assert nonsense(replace(HOST, hardware=HARDWARE)) is None


def test_a_row_of_the_matrix_has_every_column_and_invalid_facts_a_row_of_their_own():
    row = numbers_of(HOST, 7)
    assert len(row) == len(columns.INVALID_ROW) == columns.COLUMNS
    assert (row[columns.FREE_VCPUS], row[columns.FREE_MEMORY], row[columns.KIND]) == (8, 8192, 7)
    assert columns.INVALID_ROW[columns.COUNTED] == columns.INVALID_ROW[columns.KIND] == 0
    assert [columns.OLDEST, columns.FREE_VCPUS, columns.FREE_MEMORY, columns.OBSERVED] == [0, 1, 2, 3]


def test_an_algorithm_from_outside_is_given_what_the_docs_list():
    host = replace(HOST, storage=HostStorage(), usage=HostUsage())
    given = external_protocol.candidate(host, Verdict("1", "host1", (), 1.0, ()), VmRequest(vcpus=1, memory_mib=1))
    text = (ROOT / "docs/howto/choose-an-algorithm.md").read_text()
    listed = json.loads(text.partition("```json\n")[2].partition("```")[0])["candidates"][0]
    assert given.keys() == listed.keys()
    assert given["facts"].keys() == listed["facts"].keys()
    assert all(given["facts"][name].keys() == listed["facts"][name].keys() for name in ("storage", "usage"))


class Libvirt:
    """A host whose two CPUs have counted `up_s` each."""

    def __init__(self, up_s: float) -> None:
        self.up_s = up_s

    def getCPUStats(self, *_: int) -> dict[str, int]:  # noqa: N802 - libvirt's name
        half_ns = int(self.up_s * 1e9)
        return {"kernel": half_ns // 2, "user": half_ns // 2, "idle": half_ns // 2, "iowait": half_ns // 2}


def test_the_boot_time_is_now_less_what_each_cpu_has_counted():
    began_s = time.time()
    assert abs(libvirt_facts._boot_time(Libvirt(3600.0), 2) - (began_s - 3600)) <= 2


@pytest.mark.parametrize(("estimate", "stored"), [(1030, 1000), (940, 1000), (1061, 1061), (None, None)])
def test_a_boot_time_is_kept_until_it_moves_by_more_than_a_minute(estimate, stored):
    told = observation.hardware(HypervisorFacts(boot_time=estimate), {"boot_time": 1000})
    assert told["boot_time"] == stored
    assert observation.differs({**told, "boot_time": 1000}, told) == (stored != 1000)


def test_a_boot_time_is_new_to_a_row_of_an_earlier_version():
    assert observation.hardware(HypervisorFacts(boot_time=7), OLD_HARDWARE)["boot_time"] == 7


def test_a_boot_time_is_an_instant_for_people_and_seconds_for_prometheus():
    host = SimpleNamespace(name="host1", hardware={"boot_time": 1_700_000_000})
    assert show_facts("hardware", host)["boot_time"] == "2023-11-14T22:13:20.000Z"
    assert show_facts("hardware", SimpleNamespace(hardware={"boot_time": "soon"}))["boot_time"] is None
    value = next(value for name, _, value in host_metrics.GAUGES if name == "boot_time_seconds")
    assert value(host) == 1_700_000_000
    assert schema("ShownHardware")["boot_time"]["anyOf"][0] == {"format": "date-time", "type": "string"}


def test_counters_become_loads_by_their_name():
    assert set(observation.COUNTED) == {"memory_used_mib", "ksm_saved_mib"}


def test_a_damaged_member_of_one_host_stops_no_placement():
    assert codec.decode(HostHardware, {"numa": ["x"], "cpus": 4}).cpus == 4
