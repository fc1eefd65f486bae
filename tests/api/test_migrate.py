"""Moving a VM: where it may go, what cancel and failure leave, who has the last word."""

import pytest

from service.db.tables import Host, Vm
from tests.api.world import expect


@pytest.fixture
def web(cloud) -> dict:
    return cloud.make_vm()


def other(vm) -> str:
    return {"host1": "host2", "host2": "host1"}[vm["host"]]


def move(cloud, to=None):
    return cloud.api.post("/v1/vms/web/migrate", json={"host": to} if to else {})


@pytest.mark.parametrize("named", [True, False], ids=["to a named host", "by placement"])
def test_a_vm_moves_and_the_job_tells_from_where_to_where(cloud, web, named):
    job = cloud.done(move(cloud, other(web) if named else None))
    assert (job["result"]["source"], job["result"]["target"]) == (web["host"], other(web))
    assert job["result"]["downtime_ms"] == 100
    assert cloud.vm()["host"] == other(web)
    assert cloud.vm()["epoch"] == web["epoch"]
    cloud.assert_clean(vms=1)


def test_a_vm_does_not_move_to_where_it_is(cloud, web):
    expect(move(cloud, web["host"]), 409, "vm.same_host")
    cloud.assert_clean(vms=1)


def test_a_vm_does_not_move_to_a_host_that_is_not_there(cloud, web):
    assert expect(move(cloud, "host9"), 422, "host.not_found")["errors"][0]["field"] == "host"
    cloud.assert_clean(vms=1)


@pytest.mark.parametrize("to", ["", "x" * 300, 7])
def test_a_host_that_cannot_be_a_name_is_refused(cloud, web, to):
    expect(cloud.api.post("/v1/vms/web/migrate", json={"host": to}), 422, "request.invalid")


def test_a_host_without_room_is_refused_with_its_reason_and_the_others_are_told_too(cloud, web):
    cloud.change(Host.update(memory_mib=256).where(Host.name == other(web)))
    reasons = expect(move(cloud, other(web)), 409, "placement.no_host")["reasons"]
    assert reasons[other(web)] == ["256 MiB of memory short (256 MiB free)"]
    assert "the VM is here already" in reasons[web["host"]]
    cloud.assert_clean(vms=1)


def test_a_guest_started_under_tcg_does_not_move_to_a_host_with_kvm(cloud, web):
    cloud.change(Host.update(virt_type="kvm").where(Host.name == other(web)))
    reasons = expect(move(cloud), 409, "placement.no_host")["reasons"]
    assert reasons[other(web)] == ["runs kvm guests, the VM was started as qemu"]


def test_a_full_pool_does_not_stop_a_move(cloud, web):
    cloud.storage.set_full("vms", True)
    cloud.observe()
    cloud.done(move(cloud))
    cloud.assert_clean(vms=1)


def test_a_move_that_fails_leaves_the_vm_where_it_was(cloud, web):
    cloud.host(web["host"]).migration = "fails"
    job = cloud.ended(move(cloud))
    assert (job["state"], job["error"]["code"]) == ("failed", "migration.failed")
    assert cloud.vm()["host"] == web["host"]
    cloud.assert_clean(vms=1)


def test_a_queued_move_that_is_cancelled_leaves_the_vm_where_it_was(cloud, web):
    job = move(cloud).json()
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    assert cloud.vm()["host"] == web["host"]
    cloud.assert_clean(vms=1)


def cancel_when(cloud, job, moment):
    def hook(now):
        if now == moment:
            cloud.hook = lambda _: None
            cloud.api.delete(f"/v1/jobs/{job['id']}")

    cloud.hook = hook


def test_a_move_that_is_cancelled_while_it_copies_leaves_the_vm_where_it_was(cloud, web):
    cloud.host(web["host"]).migration_s = 30
    job = move(cloud).json()
    cancel_when(cloud, job, "before migrate")
    cloud.settle()
    assert cloud.api.get(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"
    assert cloud.vm()["host"] == web["host"]
    cloud.assert_clean(vms=1)


def test_a_cancel_that_comes_after_the_guest_has_moved_is_too_late(cloud, web):
    job = move(cloud).json()
    cancel_when(cloud, job, "after migrate")
    cloud.settle()
    assert cloud.api.get(f"/v1/jobs/{job['id']}").json()["state"] == "succeeded"
    assert cloud.vm()["host"] == other(web)
    cloud.assert_clean(vms=1)


def test_a_vm_that_seems_to_run_on_both_hosts_waits_with_the_reason(cloud, web):
    source = cloud.host(web["host"])
    source.migration = "hand_over_lost"
    answer = move(cloud)
    cloud.run_due()
    job = cloud.job(answer)
    assert job["state"] == "waiting"
    assert "on both hosts" in job["reason"]
    source.domains.clear()  # somebody ended one of them
    cloud.settle()
    assert cloud.job(answer)["error"]["code"] == "domain.twice"
    assert cloud.vm()["host"] == other(web)
    cloud.assert_clean(vms=1)


def test_a_target_that_falls_silent_does_not_hold_a_guest_that_runs_on_its_source(cloud, web):
    target = cloud.host(other(web))
    target.reachable = False
    job = cloud.ended(move(cloud))
    assert job["error"]["code"] == "host.unreachable"
    assert cloud.vm()["host"] == web["host"]
    target.reachable = True
    cloud.assert_clean(vms=1)


def test_a_source_that_falls_silent_is_waited_for_with_the_reason(cloud, web):
    source = cloud.host(web["host"])
    source.reachable = False
    answer = move(cloud)
    cloud.run_due()
    assert cloud.job(answer)["state"] == "waiting"
    assert "host.unreachable" in cloud.job(answer)["reason"]
    expect(move(cloud), 409, "vm.busy")
    source.reachable = True
    cloud.settle()
    assert cloud.job(answer)["error"]["code"] == "host.unreachable"
    assert cloud.vm()["host"] == web["host"]
    cloud.assert_clean(vms=1)


def test_a_guest_that_is_gone_from_both_hosts_is_off_and_started_again(cloud, web):
    def power_cut(moment):
        if moment == "before migrate":
            cloud.host(web["host"]).domains.clear()

    cloud.hook = power_cut
    job = cloud.ended(move(cloud))
    assert job["state"] == "failed"
    assert cloud.vm()["observed_state"] == "stopped"
    cloud.assert_clean(vms=1)
    cloud.observe()
    cloud.round("restore_vms")
    cloud.settle()
    assert cloud.vm()["observed_state"] == "running"
    cloud.assert_clean(vms=1)


def test_a_moving_vm_holds_room_on_both_hosts_until_it_has_moved(cloud, web):
    move(cloud)
    promised = {host["name"]: host["allocated"]["vms"] for host in cloud.api.get("/v1/hosts").json()["items"]}
    assert promised == {"host1": 1, "host2": 1}
    expect(cloud.api.delete(f"/v1/hosts/{other(web)}"), 409, "host.in_use")
    cloud.settle()
    promised = {host["name"]: host["allocated"]["vms"] for host in cloud.api.get("/v1/hosts").json()["items"]}
    assert promised == {web["host"]: 0, other(web): 1}


def test_a_running_move_shows_its_progress(cloud, web):
    cloud.host(web["host"]).migration_s = 10
    answer = move(cloud)
    shown = []

    def look(moment):
        if moment == "after migrate":
            shown.append(cloud.job(answer))

    cloud.hook = look
    cloud.settle()
    assert shown[0]["phase"] == "move"
    assert "switching" in shown[0]["progress_text"]
    assert cloud.rows(Vm)[0].observed_state == "running"


def test_so_many_vms_leave_a_host_at_a_time_and_the_others_later(cloud):
    for name in ("host3", "host4"):
        cloud.add_host(name)
    homes = {name: cloud.make_vm(name)["host"] for name in ("a", "b", "c", "d", "e", "f", "g", "h", "i")}
    crowded = max(set(homes.values()), key=list(homes.values()).count)
    leaving = [name for name, host in homes.items() if host == crowded][:3]
    cloud.observe()
    moves = [cloud.api.post(f"/v1/vms/{name}/migrate", json={}) for name in leaving]
    assert [answer.status_code for answer in moves[:2]] == [202, 202]
    assert crowded in expect(moves[2], 409, "host.migrations")["detail"]
    cloud.settle()
    cloud.observe()
    cloud.done(cloud.api.post(f"/v1/vms/{leaving[2]}/migrate", json={}))
    cloud.assert_clean(vms=9)
