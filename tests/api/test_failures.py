"""What breaks in the middle: the storage at each step, a host that refuses or falls silent, a full pool."""

import pytest

from storage.errors import BusyError, ConflictError, FullError, NotFoundError, UnreachableError
from storage.refs import VolumeRef
from tests.api.world import expect

STEPS = ["clone", "create_volume", "write"]
ERRORS = {
    "storage.full": FullError,
    "storage.unreachable": UnreachableError,
    "storage.busy": BusyError,
    "storage.conflict": ConflictError,
    "storage.not_found": NotFoundError,
}


def fail_once(cloud, moment, error):
    def hook(now):
        if now == moment:
            cloud.hook = lambda _: None
            raise error

    cloud.hook = hook


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", ERRORS)
def test_a_create_whose_storage_fails_is_undone_and_says_why(cloud, step, code):
    fail_once(cloud, f"before {step}", ERRORS[code]("the disks are on fire"))
    job = cloud.ended(cloud.create())
    assert (job["state"], job["error"]) == ("failed", {"code": code, "detail": "the disks are on fire"})
    cloud.assert_clean(vms=0)


@pytest.mark.parametrize("step", [*STEPS, "start"])
def test_a_create_whose_answer_is_lost_is_undone_although_it_happened(cloud, step):
    fail_once(cloud, f"after {step}", UnreachableError("no answer in time"))
    assert cloud.ended(cloud.create())["state"] == "failed"
    cloud.assert_clean(vms=0)


@pytest.mark.parametrize("step", [*STEPS, "start"])
def test_a_fault_of_the_program_is_told_as_internal_and_undone(cloud, step):
    fail_once(cloud, f"after {step}", ZeroDivisionError("secret detail"))
    job = cloud.ended(cloud.create())
    assert job["error"]["code"] == "internal"
    assert "secret detail" not in str(job)
    cloud.assert_clean(vms=0)


def test_an_undo_that_fails_waits_with_its_reason_and_goes_on(cloud):
    cloud.host("host1").refuses = cloud.host("host2").refuses = "no memory"
    held = None

    def hold(moment):
        nonlocal held
        if moment == "after clone":
            (ref,) = cloud.storage.volumes("vms")
            held = cloud.storage.hold(ref)
            held.__enter__()

    cloud.hook = hold
    answer = cloud.create()
    cloud.run_due()
    job = cloud.job(answer)
    assert (job["state"], job["phase"]) == ("waiting", "undo")
    assert "remove_volume: storage.busy" in job["reason"]
    expect(cloud.api.delete("/v1/vms/web"), 409, "vm.busy")
    held.__exit__(None, None, None)
    cloud.settle()
    assert cloud.job(answer)["error"]["code"] == "domain.refused"
    cloud.assert_clean(vms=0)


def test_a_start_that_the_hypervisor_refuses_is_undone_with_its_own_words(cloud):
    cloud.host("host1").refuses = cloud.host("host2").refuses = "unsupported machine type"
    job = cloud.ended(cloud.create())
    assert (job["state"], job["error"]["code"]) == ("failed", "domain.refused")
    assert "unsupported machine type" in job["error"]["detail"]
    cloud.assert_clean(vms=0)


def test_a_create_on_a_host_that_falls_silent_waits_and_is_undone_when_it_is_back(cloud):
    chosen = []

    def cut(moment):
        if moment == "before start":
            chosen.append(cloud.host(cloud.vm()["host"]))
            chosen[0].reachable = False

    cloud.hook = cut
    answer = cloud.create()
    cloud.run_due()
    assert cloud.job(answer)["state"] == "waiting"
    assert "host.unreachable" in cloud.job(answer)["reason"]
    cloud.hook = lambda _: None
    chosen[0].reachable = True
    cloud.settle()
    assert cloud.job(answer)["error"]["code"] == "host.unreachable"
    cloud.assert_clean(vms=0)


def test_a_delete_on_a_silent_host_waits_and_is_done_when_it_is_back(cloud):
    host = cloud.host(cloud.make_vm()["host"])
    host.reachable = False
    answer = cloud.api.delete("/v1/vms/web")
    cloud.run_due()
    assert cloud.job(answer)["state"] == "waiting"
    assert "host.unreachable" in cloud.job(answer)["reason"]
    expect(cloud.api.delete(f"/v1/jobs/{answer.json()['id']}"), 409, "job.past_no_return")
    host.reachable = True
    cloud.settle()
    assert cloud.job(answer)["state"] == "succeeded"
    cloud.assert_clean(vms=0)


@pytest.mark.parametrize("verb", ["force-off", "shut-down", "reset"])
def test_a_button_of_a_silent_host_fails_at_once_and_changes_nothing(cloud, verb):
    vm = cloud.make_vm()
    host = cloud.host(vm["host"])
    host.reachable = False
    job = cloud.ended(cloud.api.post(f"/v1/vms/web/{verb}"))
    assert (job["state"], job["error"]["code"]) == ("failed", "host.unreachable")
    host.reachable = True
    assert cloud.vm() == vm
    cloud.assert_clean(vms=1)


def test_a_delete_with_the_storage_away_waits_and_is_done_when_it_is_back(cloud):
    cloud.make_vm()
    cloud.storage.set_reachable(False)
    answer = cloud.api.delete("/v1/vms/web")
    cloud.run_due()
    assert "storage.unreachable" in cloud.job(answer)["reason"]
    cloud.storage.set_reachable(True)
    cloud.settle()
    assert cloud.job(answer)["state"] == "succeeded"
    cloud.assert_clean(vms=0)


def test_a_full_pool_refuses_creates_and_lets_deletes_through(cloud):
    cloud.make_vm("old")
    cloud.storage.set_full("vms", True)
    cloud.observe()
    expect(cloud.create(), 409, "pool.full")
    cloud.done(cloud.api.delete("/v1/vms/old"))
    cloud.assert_clean(vms=0)
    assert cloud.api.get("/v1/pools").json()["items"][1]["full"]


def test_a_pool_that_filled_since_the_last_look_fails_the_job_and_leaves_nothing(cloud):
    cloud.storage.set_full("vms", True)
    assert cloud.ended(cloud.create())["error"]["code"] == "storage.full"
    cloud.assert_clean(vms=0)


def test_a_stopped_vm_is_not_started_on_a_full_pool(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.post("/v1/vms/web/force-off"))
    cloud.storage.set_full("vms", True)
    cloud.observe()
    reasons = expect(cloud.api.post("/v1/vms/web/start"), 409, "placement.no_host")["reasons"]
    assert reasons == {"host1": ["pool vms is full"], "host2": ["pool vms is full"]}


def test_a_disk_that_is_open_elsewhere_is_deleted_once_it_is_free(cloud):
    volume = next(one for one in cloud.make_vm()["volumes"] if one["role"] == "root")
    with cloud.storage.hold(VolumeRef(volume["pool"], volume["storage_name"])):
        answer = cloud.api.delete("/v1/vms/web")
        cloud.run_due()
        assert "storage.busy" in cloud.job(answer)["reason"]
    cloud.settle()
    assert cloud.job(answer)["state"] == "succeeded"
    cloud.assert_clean(vms=0)
