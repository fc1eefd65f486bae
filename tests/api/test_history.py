"""The past of hosts and VMs, what is made of it for decisions, and what OSDs take off a host."""

import dataclasses
import json
import math
from datetime import timedelta

import pytest

from service.cli import history as cli
from service.cli import host as host_cli
from service.cli.output import Format
from service.db import change_counter, measurements
from service.db.engine.database import transaction, unit_of_work
from service.db.measurements import HOSTS, HOUR_S
from service.db.measurements.tables import Tracked
from service.db.tables import Host
from service.hypervisor.memory.memory import MemoryHypervisor
from service.hypervisor.values import DiskStatistics
from service.jobs.job_tables import Job
from service.placement.facts import HostStorage
from service.views.values import show_time
from service.worker.publish_meters import publish
from tests.api.test_metrics import scraped, value
from tests.api.world import expect

DAY_S = 86400
OSDS = dataclasses.asdict(HostStorage(osds=2, osds_up=2, pgs=64, osd_memory_mib=1024, local_reads={}))


def measure(cloud, seconds=15.0):
    cloud.clock.elapsed_s += seconds
    cloud.round("observe_vms")


def facts(cloud, name="host1", **facts):
    """What a look at the host saw."""
    row = next(row for row in cloud.rows(Host) if row.name == name)
    seen = Host.update(facts={**(row.facts or {}), **facts}, observed_at=cloud.clock.now())
    cloud.change(seen.where(Host.name == name))


def lived(cloud, days, cpu, name="host1"):
    """So many days in which the host used what `cpu` says of each hour."""
    host_id = _id(cloud, name)
    began = cloud.clock.now()
    with transaction(cloud.measurements):
        for hour in range(24 * days):
            cloud.clock.elapsed_s += 3600
            row = (cpu(hour), *[math.nan] * 5)
            for minute in range(0, 60, 5):
                at = began + timedelta(hours=hour, minutes=minute, seconds=30)
                measurements.write(HOSTS, at, {host_id: row})
        measurements.tidy(cloud.clock.now())
    return host_id


def _id(cloud, name):
    return next(row.id for row in cloud.rows(Host) if row.name == name)


def get(cloud, path, **query):
    answer = cloud.api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def usage(cloud, name="host1"):
    return get(cloud, f"/v1/hosts/{name}")["usage"]


def test_a_host_s_past_is_what_was_seen_of_it(cloud):
    facts(cloud, cpu_load=0.25, ceph_cpu=0.125, memory_used_mib=2048, ksm_saved_mib=64)
    measure(cloud)
    past = cloud.api.get("/v1/hosts/host1/history").json()
    (point,) = past["points"]
    assert point == {
        "at": show_time(cloud.clock.now()),
        "cpu": 0.25,
        "ceph_cpu": 0.125,
        "guest_cpus": None,
        "memory_used_mib": 2048,
        "ksm_saved_mib": 64,
        "osd_latency_ms": None,
    }
    assert past["step_s"] == 15
    assert past["outlook"]["cpu_forecast"] is None


def test_a_host_that_was_not_seen_has_no_point(cloud):
    facts(cloud, cpu_load=0.25)
    measure(cloud, cloud.settings.facts_max_age_s + 1)
    facts(cloud, "host2", cpu_load=math.pi)
    cloud.change(Host.update(problem="did not answer").where(Host.name == "host2"))
    measure(cloud)
    assert get(cloud, "/v1/hosts/host1/history")["points"] == []
    assert get(cloud, "/v1/hosts/host2/history")["points"] == []


def test_a_vm_s_past_has_the_step_that_was_asked_for(cloud):
    cloud.make_vm()
    for _ in range(9):
        measure(cloud)
    fine = cloud.api.get("/v1/vms/web/history").json()
    assert (fine["step_s"], len(fine["points"])) == (15, 8)
    coarse = get(cloud, "/v1/vms/web/history", step=60)
    assert (coarse["step_s"], len(coarse["points"])) == (60, 3)
    assert {point["memory_bytes"] for point in coarse["points"]} == {448 << 20}
    assert get(cloud, "/v1/vms/web/history", step=50)["step_s"] == 60


def test_a_part_of_the_past_is_told_alone(cloud):
    cloud.make_vm()
    for _ in range(9):
        measure(cloud)
    every = get(cloud, "/v1/vms/web/history")["points"]
    some = get(cloud, "/v1/vms/web/history", **{"from": every[2]["at"], "to": every[5]["at"]})["points"]
    assert some == every[3:6]
    last = get(cloud, "/v1/vms/web/history", **{"from": "45s"})["points"]
    assert last == every[-3:]


@pytest.mark.parametrize(
    ("back", "step_s", "most"), [("2h", 15, 480), ("3d", 300, 864), ("14d", 1500, 807), ("400d", 36000, 960)]
)
def test_points_are_bounded_however_long_the_past(cloud, back, step_s, most):
    past = get(cloud, "/v1/hosts/host1/history", **{"from": back})
    assert past["step_s"] == step_s
    assert 0 < int(back.rstrip("hd")) * (3600 if back[-1] == "h" else DAY_S) / step_s <= most


def test_older_than_anything_that_is_kept_is_coarse_and_empty(cloud):
    past = get(cloud, "/v1/hosts/host1/history", **{"from": "1975-01-01T00:00:00Z", "to": "1975-01-02T00:00:00+02:00"})
    assert (past["points"], past["step_s"]) == ([], HOUR_S)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2030-01-01"},
        {"to": "24h"},
        {"to": "0001-01-01T00:00:00Z"},
        {"from": "2030-13-01T00:00:00Z"},
        {"from": "9999-12-31T23:59:59-12:00"},
        {"from": "2030-01-02T00:00:00Z", "to": "2030-01-01T00:00:00Z"},
        {"step": "0"},
        {"step": "-15"},
        {"step": "1e3"},
        {"minutes": "5"},
    ],
)
def test_what_is_no_part_of_the_past_is_refused(cloud, query):
    expect(cloud.api.get("/v1/hosts/host1/history", params=query), 422, "request.invalid")


def test_another_project_s_vm_has_no_past(cloud):
    expect(cloud.api.get("/v1/vms/none/history"), 404, "vm.not_found")
    expect(cloud.api.get("/v1/hosts/none/history"), 404, "host.not_found")
    expect(cloud.client(None).get("/v1/hosts/host1/history"), 401, "auth.required")


def test_a_host_with_a_daily_pattern_is_expected_to_keep_it(cloud):
    lived(cloud, 3, lambda hour: 0.8 if (hour + 1) % 24 < 8 else 0.2)
    cloud.round("forecast_usage")
    seen = usage(cloud)
    assert seen["cpu_average"] == pytest.approx(0.4, abs=0.03)
    assert seen["cpu_peak"] == pytest.approx(0.8)
    assert seen["cpu_forecast"] == pytest.approx(0.8, abs=0.05)
    outlook = get(cloud, "/v1/hosts/host1/history")["outlook"]
    assert {name: outlook[name] for name in ("cpu_average", "cpu_peak", "cpu_forecast")} == {
        name: seen[name] for name in ("cpu_average", "cpu_peak", "cpu_forecast")
    }
    assert outlook["cpu_pattern"] == pytest.approx([0.8] * 7 + [0.2] * 16 + [0.8], abs=0.05)
    assert outlook["cpu_trend_per_day"] == pytest.approx(0.0, abs=0.02)


def test_a_host_of_which_little_is_known_has_no_forecast(cloud):
    lived(cloud, 1, lambda _: 0.5)
    cloud.round("forecast_usage")
    assert usage(cloud)["cpu_forecast"] is None
    assert usage(cloud)["cpu_average"] == 0.5
    assert usage(cloud, "host2") is None


def test_what_is_measured_by_the_minute_is_in_the_facts_of_decisions(cloud):
    facts(cloud, ceph_cpu=0.1, memory_used_mib=1000, ksm_saved_mib=100)
    measure(cloud)
    facts(cloud, ceph_cpu=0.3)
    measure(cloud)
    seen = usage(cloud)
    assert (seen["ceph_cpu"], seen["memory_used_mib"], seen["ksm_saved_mib"]) == (0.2, 1000, 100)


def test_only_what_moved_counts_as_a_change(cloud):
    def number():
        with unit_of_work(cloud.db):
            return change_counter.last()[0]

    facts(cloud, ceph_cpu=0.1, memory_used_mib=1000)
    measure(cloud)
    seen, before = usage(cloud), number()
    facts(cloud, ceph_cpu=0.11, memory_used_mib=1010)
    touched = number() - before  # by the test itself
    measure(cloud)
    assert (usage(cloud), number()) == (seen, before + touched)
    facts(cloud, ceph_cpu=0.4, memory_used_mib=2000)
    measure(cloud)
    assert usage(cloud)["memory_used_mib"] == 2000
    assert number() > before + 2 * touched


def test_the_two_rounds_that_write_usage_leave_each_other_s_part(cloud):
    lived(cloud, 1, lambda _: 0.5)
    facts(cloud, ceph_cpu=0.1, memory_used_mib=1000)
    measure(cloud)
    cloud.round("forecast_usage")
    facts(cloud, memory_used_mib=3000)
    measure(cloud)
    assert (usage(cloud)["cpu_average"], usage(cloud)["memory_used_mib"]) == (0.5, 3000)


def test_the_past_of_what_is_gone_is_given_up(cloud):
    cloud.make_vm()
    measure(cloud)
    measure(cloud)
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.round("forecast_usage")
    with unit_of_work(cloud.measurements):
        assert [(row.kind, row.object_id) for row in Tracked.select() if row.kind == "vm"] == [("vm", None)]


def test_what_osds_need_comes_off_a_host(cloud):
    cloud.change(Host.update(storage=OSDS, storage_observed_at=cloud.clock.now()).where(Host.name == "host1"))
    host = get(cloud, "/v1/hosts/host1")
    assert host["reserved_for_osds"] == {"vcpus": 2, "memory_mib": 1229}
    assert host["usable"] == host["free"] == {"vcpus": 6, "memory_mib": 8192 - 1229}
    assert get(cloud, "/v1/hosts/host2")["free"] == {"vcpus": 8, "memory_mib": 8192}


def test_a_host_that_recovers_may_be_over_and_says_so(cloud):
    cloud.flavor("wide", vcpus=6, memory_mib=1024)
    cloud.change(Host.update(storage=OSDS, storage_observed_at=cloud.clock.now()))
    name = cloud.make_vm(flavor="wide")["host"]
    assert get(cloud, f"/v1/hosts/{name}")["problem"] is None
    recovering = Host.update(storage={**OSDS, "pgs_recovering": 3}, storage_observed_at=cloud.clock.now())
    cloud.change(recovering.where(Host.name == name))
    host = get(cloud, f"/v1/hosts/{name}")
    assert host["reserved_for_osds"] == {"vcpus": 4, "memory_mib": 1536}
    assert host["overcommitted_by"] == {"vcpus": 2, "memory_mib": 0}
    assert "overcommitted by 2 vCPU" in host["problem"]
    assert cloud.vm()["observed_state"] == "running"


def test_memory_beyond_what_there_is_counts_as_far_as_it_is_saved(cloud_with):
    cloud = cloud_with(memory_ratio=1.5)
    assert get(cloud, "/v1/hosts/host1")["free"]["memory_mib"] == 8192
    facts(cloud, ksm_saved_mib=1000)
    measure(cloud)
    assert get(cloud, "/v1/hosts/host1")["free"]["memory_mib"] == 9192
    facts(cloud, ksm_saved_mib=100_000)
    measure(cloud)
    assert get(cloud, "/v1/hosts/host1")["free"]["memory_mib"] == 12288


def test_hosts_are_gauges(cloud):
    cloud.make_vm()
    facts(cloud, cpu_load=0.25, memory_used_mib=2048)
    measure(cloud)
    cloud.change(Host.update(storage={**OSDS, "op_latency_ms": 4.0}).where(Host.name == "host1"))
    found = scraped(cloud.api)
    assert value(found, "nacre_host_cpu_ratio", host="host1") == 0.25
    assert value(found, "nacre_host_memory_used_bytes", host="host1") == 2048 << 20
    assert value(found, "nacre_host_osd_latency_seconds", host="host1") == pytest.approx(0.004)
    assert value(found, "nacre_host_memory_bytes", host="host2") == 8192 << 20
    promised = [value(found, "nacre_host_allocated_vcpus", host=name) for name in ("host1", "host2")]
    assert sorted(promised) == [0, 1]


def test_the_boot_time_is_in_the_api_the_metrics_and_the_command_line(cloud, history_command, monkeypatch):
    monkeypatch.setattr(host_cli, "client", lambda: Speaking(cloud))
    cloud.observe()
    assert get(cloud, "/v1/hosts/host1")["hardware"]["boot_time"] == "2023-11-14T22:13:20.000Z"
    assert value(scraped(cloud.api), "nacre_host_boot_time_seconds", host="host1") == 1_700_000_000
    out, _ = history_command(host_cli.show, "host1")
    assert "boot_time 2023-11-14T22:13:20.000Z" in " ".join(out.split())


def test_what_a_worker_counted_is_scraped_from_the_api(cloud):
    """Here both are one process: what it counted shows as its own and as the worker's."""
    cloud.make_vm()
    publish(cloud.ctx, "worker-w")
    answer = cloud.api.get("/metrics").text
    assert answer.count("# TYPE nacre_placement_seconds histogram") == 1
    found = scraped(cloud.api)
    labels = {"result": "placed"}
    counts = {
        dict(has).get("process"): number
        for (name, has), number in found.items()
        if name == "nacre_placement_seconds_count" and labels.items() <= dict(has).items()
    }
    assert counts[None] == counts["worker-w"] >= 1
    cloud.clock.elapsed_s += 120
    assert not any(dict(has).get("process") for _, has in scraped(cloud.api))


@pytest.mark.parametrize("nonsense", ["many", -1, 1e300, True, [], None])
def test_a_host_that_tells_nonsense_stops_no_round(cloud, nonsense):
    facts(cloud, cpu_load=nonsense, ceph_cpu=nonsense, memory_used_mib=nonsense, ksm_saved_mib=nonsense)
    facts(cloud, "host2", cpu_load=0.5, memory_used_mib=100)
    for _ in range(2):
        measure(cloud)
    cloud.round("forecast_usage")
    assert not [job for job in cloud.rows(Job) if job.state == "failed"]
    assert get(cloud, "/v1/hosts/host2/history")["points"][0]["cpu"] == 0.5
    with unit_of_work(cloud.measurements):
        assert (
            len(
                measurements.points(
                    HOSTS, _id(cloud, "host1"), cloud.clock.now() - timedelta(1), cloud.clock.now(), step_s=15
                ).times
            )
            <= 2
        )


def test_a_counter_beyond_every_measure_is_kept_as_the_most(cloud, monkeypatch):
    plain = MemoryHypervisor.statistics
    endless = {"cpu_time_s": 1e30, "disks": (DiskStatistics("vda", 1 << 70, 0, 0.0, 0, 0, 0.0, 0, 1),)}
    monkeypatch.setattr(
        MemoryHypervisor, "statistics", lambda self: tuple(dataclasses.replace(one, **endless) for one in plain(self))
    )
    cloud.make_vm()
    measure(cloud)
    measure(cloud)
    assert get(cloud, "/v1/vms/web/history")["points"][0]["cpus"] == 0.0


class Speaking:
    """What the command needs of its client, over the cloud's API."""

    def __init__(self, cloud):
        self.cloud = cloud

    def get(self, path, **query):
        return get(self.cloud, path, **query)


@pytest.fixture
def history_command(cloud, monkeypatch, capsys):
    monkeypatch.setattr(cli, "client", lambda: Speaking(cloud))

    def run(command, *args, **options):
        capsys.readouterr()
        command(*args, **options)
        printed = capsys.readouterr()
        lines = [line for line in printed.out.splitlines() if '"event": "http.request"' not in line]
        return "\n".join(lines), printed.err

    return run


def test_the_command_draws_a_host_s_past(cloud, history_command):
    for load in (0.0, 0.5, 1.0):
        facts(cloud, cpu_load=load, memory_used_mib=1024)
        measure(cloud)
    out, err = history_command(cli.host_history, "host1")
    rows = {line[:12].strip(): line.split() for line in out.splitlines()}
    assert rows["CPU"][1:] == ["0%", "50%", "100%", "100%", "▁▅█"]
    assert "1.0 GiB" in " ".join(rows["MEMORY USED"])
    assert "CEPH CPU" not in rows
    assert "in steps of 15 s" in err
    assert "no average or forecast yet" in err


def test_the_command_tells_a_vm_s_points_to_programs(cloud, history_command):
    cloud.make_vm()
    assert "there are no measurements of this time span" in history_command(cli.vm_history, "web")[1]
    for _ in range(5):
        measure(cloud)
    out, _ = history_command(cli.vm_history, "web", since="45s", step=15, output=Format.JSON)
    assert len(json.loads(out)["points"]) == 3
    table, _ = history_command(cli.vm_history, "web")
    assert "448.0 MiB" in table
    assert "READ /S" in table


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([], ""), ([0.0], "▁"), ([None], " "), ([1.0, None, 0.5], "█ ▅"), ([0.0, 0.0, 1.0, 1.0], "▁▁██")],
)
def test_bars_begin_at_nought_and_leave_gaps(values, drawn):
    assert cli.bars(values) == drawn


def test_bars_are_as_many_as_fit():
    assert cli.bars([1.0] * 1000, width=10) == "█" * 10
    assert cli.bars([0.0] * 500 + [1.0] * 500, width=4) == "▁▁██"
