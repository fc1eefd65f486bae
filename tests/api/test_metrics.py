"""/metrics for Prometheus, and the measurements that it is made of."""

import dataclasses

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.api.app import App
from service.db.engine.database import unit_of_work
from service.db.measurements import LastMeasure
from service.hypervisor.memory.memory import MemoryHypervisor
from service.hypervisor.values import DiskStatistics, NicStatistics
from tests.api.world import expect

DISK = DiskStatistics("vda", 4096, 4, 0.5, 8192, 8, 0.25, 2, 1 << 30)
NIC = NicStatistics("vnet0", 100, 1, 0, 0, 200, 2, 0, 0)


def scraped(client):
    """Sample's name and labels → value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(found, name, **labels):
    """Of the one sample that has these labels."""
    (one,) = [
        number for (sample, has), number in found.items() if sample == name and labels.items() <= dict(has).items()
    ]
    return one


@pytest.fixture
def busy(cloud, monkeypatch):
    """A guest that computes, reads and sends; the test turns its counters."""
    counters = {"cpu_time_s": 100.0, "disks": (DISK,), "nics": (NIC,)}
    plain = MemoryHypervisor.statistics
    monkeypatch.setattr(
        MemoryHypervisor,
        "statistics",
        lambda self: tuple(dataclasses.replace(one, **counters) for one in plain(self)),
    )
    cloud.make_vm()
    cloud.counters = counters
    return cloud


def measure(cloud, seconds=15.0):
    cloud.clock.elapsed_s += seconds
    cloud.round("observe_vms")


def test_requests_are_counted_by_the_template_of_their_route(cloud):
    for name in ("a", "b", "c"):
        cloud.api.get(f"/v1/vms/{name}")
    cloud.client(None).get("/v1/vms/a")
    cloud.api.get("/nowhere/at/all")
    found = scraped(cloud.api)
    assert value(found, "nacre_http_requests_total", method="GET", route="/v1/vms/<ref>", status="404") == 3
    assert value(found, "nacre_http_requests_total", method="GET", route="/v1/vms/<ref>", status="401") == 1
    assert value(found, "nacre_http_requests_total", method="GET", route="-", status="404") == 1
    assert value(found, "nacre_http_request_seconds_count", method="GET", route="/v1/vms/<ref>") == 4
    assert not any("nowhere" in str(labels) for _, labels in found)


def test_jobs_are_counted_by_kind_and_state_for_ever(cloud):
    cloud.make_vm("a")
    cloud.host("host1").refuses = cloud.host("host2").refuses = "no"
    assert cloud.ended(cloud.create("b"))["state"] == "failed"
    cloud.create("c")
    found = scraped(cloud.api)
    assert value(found, "nacre_jobs_total", kind="create_vm", state="succeeded") == 1
    assert value(found, "nacre_jobs_total", kind="create_vm", state="failed") == 1
    assert value(found, "nacre_jobs_unfinished", kind="create_vm", state="queued") == 1
    assert value(found, "nacre_job_seconds_total", kind="create_vm", state="succeeded") >= 0
    cloud.settle()
    cloud.clock.elapsed_s += 40 * 24 * 3600
    cloud.round("purge_jobs")
    assert value(scraped(cloud.api), "nacre_jobs_total", kind="create_vm", state="succeeded") == 1


def test_placements_are_timed(cloud):
    cloud.make_vm()
    cloud.flavor("huge", vcpus=512, memory_mib=1 << 20)
    expect(cloud.create("b", flavor="huge"), 409, "placement.no_host")
    found = scraped(cloud.api)
    assert value(found, "nacre_placement_seconds_count", result="placed") == 1
    assert value(found, "nacre_placement_seconds_count", result="nothing_fits") == 1


def test_hosts_vms_and_slots_are_counted(cloud):
    cloud.make_vm()
    cloud.host("host2").reachable = False
    cloud.observe()
    found = scraped(cloud.api)
    assert value(found, "nacre_hosts", state="active", reachable="yes") == 1
    assert value(found, "nacre_hosts", state="active", reachable="no") == 1
    assert value(found, "nacre_vms", desired_state="running", observed_state="running") == 1
    assert value(found, "nacre_slots", kind="stream") == cloud.settings.stream_slots
    assert value(found, "nacre_slots_taken", kind="stream") == 0


def test_every_api_process_tells_the_same_of_the_cloud(busy):
    measure(busy)
    other = App(busy.ctx)
    one, two = scraped(busy.api), scraped(busy.client("admin", other))
    mine = ("nacre_http", "nacre_placement", "nacre_slots", "python_", "process_")
    assert {k: v for k, v in one.items() if not k[0].startswith(mine)} == {
        k: v for k, v in two.items() if not k[0].startswith(mine)
    }


def test_a_vm_s_counters_have_the_names_of_libvirt_exporters(busy):
    measure(busy)
    found, vm = scraped(busy.api), busy.vm()
    labels = {"domain": "web", "vm_id": vm["id"], "host": vm["host"]}
    for name, expected in {
        "libvirt_domain_info_cpu_time_seconds_total": 100.0,
        "libvirt_domain_info_virtual_cpus": 1,
        "libvirt_domain_info_memory_usage_bytes": 448 << 20,
        "libvirt_domain_info_maximum_memory_bytes": 448 << 20,
    }.items():
        assert value(found, name, **labels) == expected
    for name, expected in {
        "read_bytes_total": 4096,
        "read_requests_total": 4,
        "write_bytes_total": 8192,
        "write_requests_total": 8,
        "write_time_seconds_total": 0.25,
    }.items():
        assert value(found, f"libvirt_domain_block_stats_{name}", target_device="vda", **labels) == expected
    for name, expected in {"receive_bytes_total": 100, "transmit_packets_total": 2}.items():
        assert value(found, f"libvirt_domain_interface_stats_{name}", target_device="vnet0", **labels) == expected


def test_a_vm_that_is_not_measured_any_more_is_not_told_of(busy):
    measure(busy)
    busy.clock.elapsed_s += 120
    assert not any(name.startswith("libvirt_") for name, _ in scraped(busy.api))


def test_a_scrape_has_a_permission_of_its_own(cloud):
    expect(cloud.client("user").get("/metrics"), 403, "auth.forbidden")
    expect(cloud.client(None).get("/metrics"), 401, "auth.required")
    made = cloud.created(cloud.api.post("/v1/tokens", json={"name": "prometheus", "permissions": ["metrics:read"]}))
    secret = next(text for text in made.values() if str(text).startswith("nacre_"))
    scraper = cloud.client(None, Authorization=f"Bearer {secret}")
    assert scraper.get("/metrics").status_code == 200
    expect(scraper.get("/v1/vms"), 403, "auth.forbidden")


def test_history_is_what_happened_between_two_looks(busy):
    measure(busy)
    busy.counters |= {
        "cpu_time_s": 107.5,
        "disks": (dataclasses.replace(DISK, read_bytes=4096 + 15 * 1000),),
        "nics": (dataclasses.replace(NIC, sent_bytes=200 + 15 * 10),),
    }
    measure(busy)
    told = busy.api.get("/v1/vms/web/metrics").json()
    assert told["step_s"] == 15
    (sample,) = told["samples"]
    assert sample.pop("at").endswith("Z")
    assert sample == {
        "cpus": 0.5,
        "memory_bytes": 448 << 20,
        "read_bps": 1000,
        "written_bps": 0,
        "received_bps": 0,
        "sent_bps": 10,
    }


def test_counters_that_began_anew_are_no_measurement(busy):
    measure(busy)
    busy.counters["cpu_time_s"] = 1.0
    measure(busy)
    assert busy.api.get("/v1/vms/web/metrics").json()["samples"] == []
    busy.counters["cpu_time_s"] = 16.0
    measure(busy)
    assert [one["cpus"] for one in busy.api.get("/v1/vms/web/metrics").json()["samples"]] == [1.0]


def test_a_silent_host_s_vms_have_no_numbers_and_the_others_do(cloud):
    cloud.make_vm("a")
    cloud.make_vm("b")
    assert cloud.vm("a")["host"] != cloud.vm("b")["host"]
    cloud.host(cloud.vm("a")["host"]).reachable = False
    measure(cloud)
    with unit_of_work(cloud.measurements):
        assert [row.name for row in LastMeasure.select()] == ["b"]


def test_measurements_lie_in_a_file_of_their_own(busy):
    measure(busy)
    with unit_of_work(busy.measurements):
        assert LastMeasure.select().count() == 1
        tables = set(busy.measurements.get_tables())
        assert {"last_measure", "block"} <= tables
    assert (busy.settings.state_dir / "metrics.db").exists()
    with unit_of_work(busy.db):
        assert not tables & set(busy.db.get_tables())
