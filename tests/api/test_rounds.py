"""The rounds that the service makes by itself (looking, starting again) and what events tell between them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.db.tables import Host, Vm
from service.hypervisor.contract import DomainEvent
from service.jobs.job_tables import Job
from service.operations.upkeep import purge_jobs
from service.operations.vms import record_event
from service.views.values import show_time
from storage.errors import UnreachableError
from storage.facts import OsdFacts
from tests.api.world import expect


@pytest.fixture
def web(cloud) -> dict:
    return cloud.make_vm()


def restore(cloud) -> None:
    cloud.round("restore_vms")
    cloud.settle()


def test_a_guest_that_powers_itself_off_is_stopped_and_stays_so(cloud, web):
    cloud.hosts.end_domain(web["host"], web["id"], "stopped")
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("stopped", "stopped")
    cloud.observe()
    restore(cloud)
    assert cloud.vm()["observed_state"] == "stopped"
    cloud.assert_clean(vms=1)


def test_a_guest_that_crashed_is_started_again_in_a_new_epoch(cloud, web):
    cloud.hosts.end_domain(web["host"], web["id"], "crashed")
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("stopped", "running")
    restore(cloud)
    assert (cloud.vm()["observed_state"], cloud.vm()["epoch"]) == ("running", web["epoch"] + 1)
    cloud.assert_clean(vms=1)


def test_a_guest_that_stops_at_a_failed_write_shows_it(cloud, web):
    cloud.hosts.stall(web["host"], web["id"])
    assert cloud.vm()["observed_state"] == "io_error"


def test_a_domain_that_is_lost_is_taken_off_and_started_again(cloud, web):
    cloud.host(web["host"]).domains.clear()
    cloud.observe()
    assert (cloud.vm()["host"], cloud.vm()["observed_state"]) == (None, "stopped")
    restore(cloud)
    assert cloud.vm()["observed_state"] == "running"
    cloud.assert_clean(vms=1)


def test_a_silent_host_keeps_its_vms_and_takes_no_new_one(cloud, web):
    host = cloud.host(web["host"])
    host.reachable = False
    cloud.observe()
    restore(cloud)
    assert cloud.vm()["host"] == web["host"]
    assert "did not answer" in cloud.api.get(f"/v1/hosts/{web['host']}").json()["problem"]
    cloud.clock.elapsed_s += cloud.settings.facts_max_age_s + 1
    cloud.observe()
    decision = cloud.job(cloud.create("second"))["object"]["id"]
    placement = cloud.api.get(f"/v1/vms/{decision}/placement").json()["id"]
    verdicts = cloud.api.get(f"/v1/placements/{placement}", params={"full": "true"}).json()["verdicts"]
    reasons = {verdict["host_name"]: verdict["reasons"] for verdict in verdicts}
    assert "s old, at most 60 s are trusted" in reasons[web["host"]][0]
    assert "did not answer" in reasons[web["host"]][0]
    cloud.settle()
    host.reachable = True
    cloud.observe()
    assert cloud.api.get(f"/v1/hosts/{web['host']}").json()["problem"] is None


def test_when_every_host_is_silent_a_create_is_refused_and_nothing_is_taken_off(cloud, web):
    for name in ("host1", "host2"):
        cloud.host(name).reachable = False
    cloud.clock.elapsed_s += 61
    cloud.observe()
    assert set(expect(cloud.create("second"), 409, "placement.no_host")["reasons"]) == {"host1", "host2"}
    assert cloud.vm()["observed_state"] == "running"


def test_a_vm_that_began_to_run_during_a_slow_look_is_not_taken_off(cloud):
    """The look sees the host before the VM is there, and is written down after the VM's job has ended."""
    done = []

    def create_meanwhile(moment):
        if moment == "after domains" and not done:
            done.append(cloud.create())
            worker = cloud.new_worker("second")
            while worker.run_next():
                pass

    cloud.hook = create_meanwhile
    cloud.round("observe_hosts")
    assert cloud.job(done[0])["state"] == "succeeded"
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("running", "running")
    cloud.assert_clean(vms=1)


def test_a_job_at_work_is_not_disturbed_by_a_look(cloud, web):
    cloud.api.post("/v1/vms/web/reset")
    cloud.host(web["host"]).domains.clear()
    with_job = [job for job in cloud.rows(Job) if job.state == "queued"]
    cloud.new_worker("w").run_next()
    assert len(with_job) == 1
    assert cloud.vm()["host"] == web["host"]


def test_a_vm_that_was_switched_off_meanwhile_is_not_restored(cloud, web):
    cloud.host(web["host"]).domains.clear()
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/force-off"))
    restore(cloud)
    assert cloud.vm()["observed_state"] == "stopped"


def test_a_vm_that_is_switched_off_while_others_are_restored_stays_off(cloud, web):
    """The round has read what should run; before it comes to this VM, somebody changes their mind."""
    cloud.host(web["host"]).domains.clear()
    cloud.observe()
    read_the_time = cloud.clock.now

    def change_of_mind():
        if [job for job in cloud.rows(Job) if job.kind == "restore_vms" and job.state == "running"]:
            cloud.clock.now = read_the_time
            cloud.change(Vm.update(desired_state="stopped"))
        return read_the_time()

    cloud.clock.now = change_of_mind
    restore(cloud)
    assert cloud.clock.now == read_the_time
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("stopped", "stopped")


def test_a_restore_that_finds_no_host_tries_again_at_the_next_round(cloud, web):
    cloud.host(web["host"]).domains.clear()
    cloud.observe()
    cloud.change(Host.update(state="cordoned"))
    restore(cloud)
    assert cloud.vm()["host"] is None
    cloud.change(Host.update(state="active"))
    restore(cloud)
    assert cloud.vm()["observed_state"] == "running"


def test_a_restore_that_is_refused_is_tried_again_after_a_minute(cloud, web):
    for name in ("host1", "host2"):
        cloud.host(name).refuses = "not now"
        cloud.host(name).domains.clear()
    cloud.observe()
    restore(cloud)
    restore(cloud)
    assert [job.state for job in cloud.rows(Job) if job.kind == "start_vm"] == ["failed"]
    assert cloud.vm()["desired_state"] == "running"
    for name in ("host1", "host2"):
        cloud.host(name).refuses = None
    cloud.clock.elapsed_s += 61
    cloud.observe()
    restore(cloud)
    assert cloud.vm()["observed_state"] == "running"
    cloud.assert_clean(vms=1)


def test_one_vm_that_is_deleted_meanwhile_does_not_stop_the_restore_of_others(cloud, web):
    cloud.make_vm("zoe")
    for name in ("host1", "host2"):
        cloud.host(name).domains.clear()
    cloud.observe()
    cloud.done(cloud.api.delete("/v1/vms/web"))
    restore(cloud)
    assert cloud.vm("zoe")["observed_state"] == "running"


@pytest.mark.parametrize("kind", ["started", "resumed", "suspended", "stopped", "crashed", "io_error", "migrated"])
def test_an_event_from_a_host_that_the_vm_has_left_is_ignored(cloud, web, kind):
    elsewhere = {"host1": "host2", "host2": "host1"}[web["host"]]
    record_event.record(cloud.ctx, DomainEvent(elsewhere, web["id"], kind))
    record_event.record(cloud.ctx, DomainEvent(web["host"], "no-such-vm", kind))
    assert cloud.vm() == web


@pytest.mark.parametrize(("kind", "state"), [("suspended", "paused"), ("resumed", "running"), ("rebooted", "running")])
def test_an_event_is_written_down_at_once(cloud, web, kind, state):
    record_event.record(cloud.ctx, DomainEvent(web["host"], web["id"], kind))
    assert cloud.vm()["observed_state"] == state


@pytest.mark.parametrize("kind", ["stopped", "crashed"])
def test_an_end_that_is_told_late_does_not_take_off_what_was_started_since(cloud, web, kind):
    cloud.done(cloud.api.post("/v1/vms/web/force-off"))
    cloud.done(cloud.api.post("/v1/vms/web/start"))
    record_event.record(cloud.ctx, DomainEvent(cloud.vm()["host"], web["id"], kind))
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("running", "running")
    cloud.assert_clean(vms=1)


def test_an_end_that_cannot_be_confirmed_is_left_to_the_next_look(cloud, web):
    host = cloud.host(web["host"])
    host.reachable = False
    record_event.record(cloud.ctx, DomainEvent(web["host"], web["id"], "stopped"))
    assert cloud.vm()["observed_state"] == "running"
    host.reachable = True
    host.domains.clear()
    cloud.observe()
    assert cloud.vm()["observed_state"] == "stopped"


def test_a_look_writes_down_what_guests_burn(cloud, web):
    cloud.observe()
    host = cloud.host(web["host"])
    host.domains[web["id"]] = replace(host.domains[web["id"]], cpu_time_s=16.0)
    cloud.clock.elapsed_s += 9
    cloud.observe()
    facts = cloud.api.get(f"/v1/hosts/{web['host']}").json()["facts"]
    assert (facts["cpu_load"], facts["guest_cpu_load"], facts["ceph_cpu"]) == (0.4, 0.4, 0.0)
    assert (facts["domains"], facts["used_vcpus"], facts["used_memory_mib"]) == (1, 1, 448)


def test_osds_weigh_on_the_host_that_they_are_on(cloud):
    def osd(number, host, *, up=True, latency=None):
        return OsdFacts(number, host, up, True, latency, latency, 0, 1 << 40)

    cloud.change(Host.update(memory_mib=65536))  # the OSDs' own is kept back
    cloud.storage.set_osds((osd(0, "host1", latency=49.0), osd(1, "host1", up=False), osd(2, "host2", latency=1.0)))
    cloud.observe()
    assert cloud.make_vm()["host"] == "host2"
    verdicts = cloud.api.get("/v1/vms/web/placement").json()["verdicts"]
    terms = {verdict["host_name"]: dict(verdict["terms"]) for verdict in verdicts}
    assert terms["host1"]["osd_pressure"] < terms["host2"]["osd_pressure"]
    assert terms["host1"]["osd_latency"] < terms["host2"]["osd_latency"]


def test_without_an_answer_of_the_storage_the_old_facts_stay(cloud):
    cloud.storage.set_reachable(False)
    before = cloud.api.get("/v1/storage").json()
    cloud.round("observe_storage")
    assert cloud.api.get("/v1/storage").json() == before
    failed = cloud.api.get("/v1/jobs", params={"rounds": "true", "state": "failed"}).json()["items"]
    assert [job["error"]["code"] for job in failed] == ["storage.unreachable"]


def test_without_a_manager_the_osds_are_unknown_and_the_rest_is_fresh(cloud):
    def no_manager(moment):
        if moment == "before osds":
            raise UnreachableError("osd df: timed out")

    cloud.hook = no_manager
    cloud.observe()
    seen = cloud.api.get("/v1/storage").json()
    assert seen["osds"] == []
    assert seen["observed_at"] == show_time(cloud.clock.now())
    cloud.done(cloud.create())


def test_old_rounds_are_forgotten_and_peoples_jobs_are_not(cloud, web):
    cloud.clock.elapsed_s += purge_jobs.KEEP_ROUNDS / timedelta(seconds=1) + 1
    cloud.round("purge_jobs")
    assert {job.kind for job in cloud.rows(Job)} == {"add_host", "import_image", "create_vm", "purge_jobs"}


def test_a_host_that_is_removed_during_a_look_stays_removed(cloud, web):
    elsewhere = {"host1": "host2", "host2": "host1"}[web["host"]]

    def remove(moment):
        if moment == "after domains":
            cloud.hook = lambda _: None
            assert cloud.api.delete(f"/v1/hosts/{elsewhere}").status_code == 204

    cloud.hook = remove
    cloud.round("observe_hosts")
    assert [host["name"] for host in cloud.api.get("/v1/hosts").json()["items"]] == [web["host"]]
    assert not [job for job in cloud.rows(Job) if job.state == "failed"]


def calls_of(cloud, name):
    """The moments of this call from now on."""
    made = []
    cloud.hook = lambda moment: made.append(moment) if moment == f"before {name}" else None
    return made


def test_a_quiet_round_moves_the_time_and_nothing_else(cloud, web):
    cloud.observe()
    before = {host.name: host for host in cloud.rows(Host)}
    cloud.clock.elapsed_s += 9
    cloud.round("observe_hosts")
    for host in cloud.rows(Host):
        assert host.observed_at > before[host.name].observed_at
        assert (host.changed, host.facts) == (before[host.name].changed, before[host.name].facts)


def test_a_host_whose_load_moved_is_marked_for_decisions_and_others_are_not(cloud, web):
    cloud.observe()
    changed = {host.name: host.changed for host in cloud.rows(Host)}
    cloud.host("host1").busy_s += 20
    cloud.clock.elapsed_s += 9
    cloud.observe()
    after = {host.name: host.changed for host in cloud.rows(Host)}
    assert after["host1"] > changed["host1"]
    assert after["host2"] == changed["host2"]
    assert cloud.api.get("/v1/hosts/host1").json()["facts"]["ceph_cpu"] == 0.5


def test_a_host_that_is_silent_for_long_is_asked_less_often_and_never_holds_up_a_round(cloud, web):
    cloud.host("host1").reachable = False
    asked = calls_of(cloud, "domains")
    for _ in range(5):
        cloud.round("observe_hosts")
        cloud.clock.elapsed_s += 1
    assert len(asked) == 6, "once by a call of its own, then by the prober only; the other one in every round"
    assert (
        cloud.ctx.memory.host_backoff.of(next(host.id for host in cloud.rows(Host) if host.name == "host1")).silences
        == 3
    )
    cloud.host("host1").reachable = True
    cloud.clock.elapsed_s += 60
    cloud.round("observe_hosts")
    assert cloud.api.get("/v1/hosts/host1").json()["problem"] is None


def test_what_a_host_is_made_of_is_asked_seldom_and_again_when_it_is_back(cloud, web):
    asked = calls_of(cloud, "facts")
    for _ in range(3):
        cloud.observe()
    assert asked == []
    host = cloud.host("host1")
    host.facts = replace(host.facts, bridges=("br-guest",), firmwares=("bios", "uefi"))
    host.reachable = False
    cloud.observe()
    host.reachable = True
    cloud.observe()
    row = next(row for row in cloud.rows(Host) if row.name == "host1")
    assert (row.hardware["bridges"], row.hardware["firmwares"]) == (["br-guest"], ["bios", "uefi"])
    assert len(asked) == 1
    cloud.clock.elapsed_s += 301
    cloud.observe()
    assert len(asked) == 3


def test_a_host_that_tells_nonsense_does_not_keep_the_others_from_being_written_down(cloud, web):
    cloud.observe()
    cloud.host("host1").busy_s = float("nan")
    cloud.host("host1").ksm_saved_mib = float("nan")
    cloud.clock.elapsed_s += 9
    cloud.observe()
    assert cloud.api.get("/v1/hosts/host1").json()["facts"]["cpu_load"] == -1.0
    assert {host.observed_at for host in cloud.rows(Host)} == {cloud.clock.now()}
    assert cloud.make_vm("zoe")["host"] == "host2"


def test_a_new_process_keeps_the_loads_that_the_last_one_found(cloud, web):
    cloud.observe()
    cloud.host("host1").busy_s += 20
    cloud.clock.elapsed_s += 9
    cloud.observe()
    load = cloud.api.get("/v1/hosts/host1").json()["facts"]["cpu_load"]
    cloud.ctx.memory.host_backoff.hosts.clear()
    cloud.observe()
    assert cloud.api.get("/v1/hosts/host1").json()["facts"]["cpu_load"] == load > 0


def test_more_hosts_than_are_written_at_once_are_all_written(cloud, web):
    for number in range(3, 120):
        address = f"10.3.0.{number}"
        cloud.hosts.add_host(f"host{number}", address)
        cloud.change(Host.insert(**other_host(cloud, number, address)))
    cloud.clock.elapsed_s += 9
    cloud.round("observe_hosts")
    assert {host.observed_at for host in cloud.rows(Host)} == {cloud.clock.now()}
    assert cloud.vm()["observed_state"] == "running"


def other_host(cloud, number, address):
    row = cloud.rows(Host)[0].__data__
    return row | {"id": f"00000000-0000-4000-8000-{number:012x}", "name": f"host{number}", "address": address}
