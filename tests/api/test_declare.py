"""PUT of a VM: it is made, changed where it differs, or left alone; and the answer says which."""

import pytest

from service.db.tables import Event, Vm, Volume
from service.jobs.job_tables import Job
from tests.api.world import KEY, expect

BODY = {"name": "web", "image": "mini", "flavor": "small", "ssh_keys": [KEY]}


def put(cloud, query="", headers=None, **more):
    return cloud.api.put(f"/v1/vms/web{query}", json=BODY | more, headers=headers)


def declared(cloud, **more):
    """The answer, once everything is done."""
    answer = put(cloud, **more)
    assert answer.status_code in (200, 202), answer.text
    cloud.observe()
    cloud.settle()
    told = answer.json()
    if told["job"]:
        job = cloud.api.get(f"/v1/jobs/{told['job']['id']}").json()
        assert job["state"] == "succeeded", job
    return told


def diff(told):
    return {one["field"]: (one["from"], one["to"], one["when"]) for one in told["diff"]}


def no_change(cloud, **more):
    told = declared(cloud, **more)
    return (told["changed"], told["diff"], told["job"]) == (False, [], None)


@pytest.fixture
def web(cloud):
    cloud.flavor("large", vcpus=2, memory_mib=1024, disk_gib=1)
    declared(cloud)
    return cloud


def test_what_is_not_there_is_made_and_then_left_alone(cloud):
    told = declared(cloud)
    assert (told["created"], told["changed"], told["diff"]) == (True, True, [])
    assert told["vm_id"] == cloud.vm()["id"]
    assert told["job"]["kind"] == "create_vm"
    jobs = len(cloud.rows(Job))
    assert no_change(cloud)
    assert no_change(cloud, start="running", tags=[], firmware="bios")
    assert [job.kind for job in cloud.rows(Job)][jobs:] == ["observe_hosts", "observe_storage"] * 2
    cloud.assert_clean(vms=1)


def test_a_vm_that_is_still_being_made_is_waited_for(cloud):
    first, again = put(cloud).json(), put(cloud).json()
    assert (again["changed"], again["job"]["id"]) == (False, first["job"]["id"])
    cloud.settle()


def test_tags_and_description_change_at_once(web):
    told = declared(web, tags=["b", "a"], description="Shop")
    assert diff(told) == {"tags": ([], ["a", "b"], "now"), "description": ("", "Shop", "now")}
    assert told["job"] is None
    assert (web.vm()["tags"], web.vm()["description"]) == (["a", "b"], "Shop")
    assert no_change(web, tags=["a", "b"], description="Shop")


def test_another_flavor_comes_at_the_next_start_when_the_guest_cannot_take_it_now(web):
    assert diff(declared(web, flavor="large"))["flavor"] == ("small", "large", "next_start")
    assert web.vm()["flavor"] == "large"
    assert web.vm()["pending"]
    assert no_change(web, flavor="large")


def test_several_changes_are_done_one_after_the_other(web):
    told = declared(
        web, flavor="large", root={"size_gib": 3}, disks=[{"name": "data", "size_gib": 2}, {"size_gib": 1}], tags=["x"]
    )
    assert told["job"]["kind"] == "apply_vm"
    assert set(diff(told)) == {"flavor", "root.size_gib", "disks.data", "disks.1", "tags"}
    volumes = {volume["name"] or volume["role"]: volume["size_bytes"] >> 30 for volume in web.vm()["volumes"]}
    assert {"root": 3, "data": 2}.items() <= volumes.items()
    assert len([volume for volume in web.rows(Volume) if volume.role == "data"]) == 2
    assert no_change(
        web, flavor="large", root={"size_gib": 3}, disks=[{"name": "data", "size_gib": 2}, {"size_gib": 1}], tags=["x"]
    )
    web.assert_clean(vms=1)


def test_a_disk_that_is_no_longer_declared_is_detached_and_kept_and_comes_back(web):
    declared(web, disks=[{"name": "data", "size_gib": 2}])
    assert diff(declared(web, disks=[])) == {"disks.data": ("data", None, "now")}
    (kept,) = [volume for volume in web.rows(Volume) if volume.role == "data"]
    assert (kept.vm_id, kept.name) == (None, "data")
    assert diff(declared(web, disks=[{"name": "data", "size_gib": 2}])) == {"disks.data": (None, "data", "now")}
    assert [volume.id for volume in web.rows(Volume) if volume.role == "data"] == [kept.id]


def test_a_disk_grows_and_never_shrinks(web):
    declared(web, disks=[{"name": "data", "size_gib": 2}])
    assert diff(declared(web, disks=[{"name": "data", "size_gib": 5}]))["disks.data.size_gib"] == (2.0, 5.0, "now")
    problem = expect(put(web, disks=[{"name": "data", "size_gib": 4}]), 422, "volume.shrink")
    assert problem["errors"][0]["field"] == "disks.data.size_gib"


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"firmware": "uefi"}, "firmware"),
        ({"ssh_keys": []}, "ssh_keys"),
        ({"user": "ann"}, "user"),
        ({"nic_model": "e1000"}, "nic_model"),
        ({"user_data": "#cloud-config"}, "user_data"),
        ({"root": {"bus": "scsi"}}, "root.bus"),
    ],
)
def test_what_a_vm_keeps_for_life_is_named_and_nothing_changes(web, stated, field):
    events = len(web.rows(Event))
    problem = expect(put(web, tags=["new"], **stated), 409, "vm.unchangeable")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert "#cloud-config" not in str(problem)
    assert web.vm()["tags"] == []
    assert len(web.rows(Event)) == events


def test_a_vm_is_stopped_and_started_as_declared(web):
    assert diff(declared(web, start="stopped")) == {"start": ("running", "stopped", "now")}
    assert web.vm()["observed_state"] == "stopped"
    assert no_change(web, start="stopped")
    told = declared(web, start="running", flavor="large")
    assert diff(told)["flavor"] == ("small", "large", "now")
    assert (web.vm()["observed_state"], web.vm()["vcpus"]) == ("running", 2)
    assert diff(declared(web, start="paused", flavor="large")) == {"start": ("running", "paused", "now")}
    assert diff(declared(web, start="running", flavor="large")) == {"start": ("paused", "running", "now")}


def test_what_is_left_out_stays_as_it_is(web):
    declared(web, disks=[{"name": "data", "size_gib": 2}], tags=["x"], start="stopped")
    assert no_change(web)
    assert web.vm()["tags"] == ["x"]


def test_a_trial_tells_the_difference_and_changes_nothing(web):
    before = web.rows(Job), web.vm()
    trial = put(web, "?dry_run=true", flavor="large", tags=["x"]).json()
    assert (trial["dry_run"], trial["changed"]) == (True, True)
    assert {one["field"] for one in trial["diff"]} == {"flavor", "tags"}
    assert trial["job"]["kind"] == "resize_vm"
    assert (web.rows(Job), web.vm()) == before


def test_a_change_needs_a_vm_that_nobody_is_at_work_on(web):
    put(web, tags=["x"], flavor="large")
    expect(put(web, tags=["y"]), 409, "vm.busy")
    web.settle()


def test_the_name_is_not_changed_by_declaring_another(web):
    assert expect(put(web, name="other"), 422, "request.invalid")["errors"][0]["field"] == "name"
    expect(web.api.put("/v1/vms/other", json=BODY), 422, "request.invalid")
    assert len(web.rows(Vm)) == 1


def test_a_declaration_may_insist_on_what_it_saw(web):
    tag = web.api.get("/v1/vms/web").headers["etag"]
    assert put(web, tags=["x"], headers={"If-Match": tag}).status_code == 200
    expect(put(web, tags=["y"], headers={"If-Match": tag}), 412, "object.changed")
    expect(put(web, headers={"If-None-Match": "*"}), 412, "object.exists")
    assert web.vm()["tags"] == ["x"]


def test_when_a_change_fails_what_was_done_stays_and_the_job_says_why(web):
    answer = put(web, disks=[{"name": "data", "size_gib": 1}], start="stopped")
    web.host(web.vm()["host"]).guests_ignore_power_button = True
    web.settle()
    job = web.api.get(f"/v1/jobs/{answer.json()['job']['id']}").json()
    assert job["state"] == "failed"
    assert job["error"]["code"] == "vm.shut_down_timed_out"
