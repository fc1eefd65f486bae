"""A VM's life over HTTP: create, show, stop, start, reset, delete."""

import pytest

from service.db.tables import Audit, Image, Placement, Vm
from service.operations.vms.shut_down_vm import PATIENCE_S
from storage.refs import VolumeRef
from tests.api.world import KEY, expect


def off(cloud, name="web"):
    return cloud.done(cloud.api.post(f"/v1/vms/{name}/force-off"))


def test_a_created_vm_runs_with_its_disks_and_its_address(cloud):
    answer = cloud.create(user="ann")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    job = cloud.ended(answer)
    assert [phase["name"] for phase in job["phases"]] == ["clone", "seed", "start", "record"]
    assert job["progress"] == 1.0
    vm = cloud.vm()
    assert (vm["observed_state"], vm["desired_state"], vm["user"]) == ("running", "running", "ann")
    assert vm["address"] == "10.2.0.10"
    assert vm["ssh_keys"] == [KEY]
    assert {volume["role"]: volume["size_bytes"] for volume in vm["volumes"]} == {"root": 1 << 30, "seed": 1 << 20}
    assert cloud.domains() == {(vm["host"], vm["id"])}
    cloud.assert_clean(vms=1)


def test_the_root_disk_holds_the_image_and_the_seed_names_the_guest(cloud):
    volumes = {
        volume["role"]: VolumeRef(volume["pool"], volume["storage_name"]) for volume in cloud.make_vm()["volumes"]
    }
    assert cloud.storage.read(volumes["root"], offset=0, length=8) == b"bootboot"
    seed = cloud.storage.read(volumes["seed"], offset=0, length=1 << 20)
    assert b"local-hostname: web" in seed
    assert KEY.encode() in seed
    assert b"10.2.0.10/24" in seed


def test_a_vm_is_found_by_name_and_by_id_and_listed_without_its_disks(cloud):
    vm = cloud.make_vm()
    assert cloud.vm(vm["id"])["name"] == "web"
    (listed,) = cloud.api.get("/v1/vms").json()["items"]
    assert "volumes" not in listed
    assert listed["address"] == vm["address"]


def test_two_vms_never_share_an_address_or_a_mac(cloud):
    nics = [nic for name in ("a", "b", "c") for nic in cloud.make_vm(name)["nics"]]
    assert len({nic["mac"] for nic in nics}) == len({nic["address"] for nic in nics}) == 3


def test_the_decision_is_kept_with_a_score_for_every_host(cloud):
    vm = cloud.make_vm()
    decision = cloud.api.get("/v1/vms/web/placement").json()
    assert decision["chosen"]["host_name"] == vm["host"]
    assert [verdict["host_name"] for verdict in decision["verdicts"]] == ["host1", "host2"]
    assert all(0 <= value <= 1 for verdict in decision["verdicts"] for _, value in verdict["terms"])


@pytest.mark.parametrize(
    ("field", "status", "code"),
    [("image", 422, "image.not_found"), ("flavor", 422, "flavor.not_found"), ("network", 422, "network.not_found")],
)
def test_a_vm_of_something_unknown_is_refused_and_the_field_named(cloud, field, status, code):
    document = expect(cloud.create(**{field: "nothing"}), status, code)
    assert [error["field"] for error in document["errors"]] == [field]
    cloud.assert_clean(vms=0)


def test_more_memory_than_any_host_has_is_refused_with_each_hosts_reason(cloud):
    cloud.flavor("huge", memory_mib=1 << 20)
    document = expect(cloud.create(flavor="huge"), 409, "placement.no_host")
    short = (1 << 20) + cloud.settings.memory_overhead_mib - 8192
    reason = f"{short} MiB of memory short (8192 MiB free)"
    assert document["reasons"] == {"host1": [reason], "host2": [reason]}
    cloud.assert_clean(vms=0)
    assert not cloud.rows(Placement)


def test_without_any_host_a_vm_is_refused_with_the_next_step(empty):
    empty.network()
    empty.flavor()
    empty.image()
    assert "nacre host add" in expect(empty.create(), 409, "placement.no_host")["detail"]


def test_a_name_is_taken_once(cloud):
    cloud.make_vm()
    expect(cloud.create(), 409, "vm.name_taken")
    cloud.assert_clean(vms=1)


def test_a_flavor_with_a_disk_smaller_than_the_image_is_refused(cloud):
    cloud.change(Image.update(size_bytes=2 << 30))
    expect(cloud.create(), 422, "flavor.disk_too_small")
    cloud.assert_clean(vms=0)


def test_with_two_networks_one_must_be_named(cloud):
    cloud.network("other", first_address="10.2.0.251", last_address="10.2.0.252")
    expect(cloud.create(), 422, "network.not_named")
    assert cloud.make_vm(network="other")["address"] == "10.2.0.251"


def test_a_network_without_a_free_address_refuses(cloud):
    cloud.network("tiny", first_address="10.2.0.251", last_address="10.2.0.251")
    cloud.make_vm(network="tiny")
    expect(cloud.create("second", network="tiny"), 409, "network.exhausted")
    cloud.assert_clean(vms=1)


@pytest.mark.parametrize(
    "body",
    [
        {"user": "root"},
        {"user": "a b"},
        {"user": "-x"},
        {"ssh_keys": ["ssh-ed25519 short"]},
        {"ssh_keys": [KEY + "\nssh-rsa AAAA"]},
        {"ssh_keys": ['command="x" ' + KEY]},
        {"ssh_keys": [KEY] * 33},
        {"ssh_keys": KEY},
        {"image": ""},
        {"image": "x" * 300},
        {"flavor": 1},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_wrong_field_is_named_and_nothing_is_left(cloud, body):
    document = expect(cloud.create(**body), 422, "request.invalid")
    assert {error["field"].split(".")[0] for error in document["errors"]} == set(body)
    cloud.assert_clean(vms=0)


def test_a_full_set_of_the_longest_keys_fits_into_the_seed(cloud):
    key = "ssh-rsa " + "A" * 8192 + " " + "c" * 255
    cloud.make_vm(ssh_keys=[key] * 32)
    cloud.assert_clean(vms=1)


def test_force_off_ends_it_and_a_start_brings_it_back_in_a_new_epoch(cloud):
    vm = cloud.make_vm()
    off(cloud)
    stopped = cloud.vm()
    assert (stopped["observed_state"], stopped["desired_state"], stopped["host"]) == ("stopped", "stopped", None)
    cloud.assert_clean(vms=1)
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/start"))
    again = cloud.vm()
    assert (again["observed_state"], again["epoch"]) == ("running", vm["epoch"] + 1)
    assert (again["address"], again["volumes"]) == (vm["address"], vm["volumes"])
    cloud.assert_clean(vms=1)


def test_a_running_vm_is_not_started_again(cloud):
    cloud.make_vm()
    expect(cloud.api.post("/v1/vms/web/start"), 409, "vm.already_running")


@pytest.mark.parametrize("verb", ["shut-down", "reset", "migrate"])
def test_a_stopped_vm_has_no_buttons(cloud, verb):
    cloud.make_vm()
    off(cloud)
    expect(cloud.api.post(f"/v1/vms/web/{verb}"), 409, "vm.not_running")


def test_force_off_of_a_stopped_vm_is_done_at_once(cloud):
    cloud.make_vm()
    off(cloud)
    off(cloud)
    cloud.assert_clean(vms=1)


@pytest.mark.parametrize("verb", ["start", "shut-down", "force-off", "reset", "migrate"])
def test_verbs_on_an_unknown_vm_are_not_found(cloud, verb):
    expect(cloud.api.post(f"/v1/vms/nothing/{verb}"), 404, "vm.not_found")


def test_a_guest_that_hears_the_power_button_is_stopped_and_stays_so(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.post("/v1/vms/web/shut-down"))
    cloud.observe()
    cloud.round("restore_vms")
    assert cloud.vm()["observed_state"] == "stopped"
    cloud.assert_clean(vms=1)


def test_a_guest_that_ignores_the_power_button_runs_on_and_the_next_step_is_told(cloud):
    vm = cloud.make_vm()
    cloud.host(vm["host"]).guests_ignore_power_button = True
    began = cloud.clock.monotonic()
    job = cloud.ended(cloud.api.post("/v1/vms/web/shut-down"))
    assert (job["state"], job["error"]["code"]) == ("failed", "vm.shut_down_timed_out")
    assert "nacre vm force-off web" in job["error"]["detail"]
    assert PATIENCE_S <= cloud.clock.monotonic() - began < PATIENCE_S + 10
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("running", "running")
    cloud.assert_clean(vms=1)


def test_waiting_for_the_power_button_can_be_cancelled(cloud):
    vm = cloud.make_vm()
    cloud.host(vm["host"]).guests_ignore_power_button = True
    answer = cloud.api.post("/v1/vms/web/shut-down")

    def change_of_mind(moment):
        if moment == "after shut_down":
            cloud.api.delete(f"/v1/jobs/{answer.json()['id']}")

    cloud.hook = change_of_mind
    assert cloud.ended(answer)["state"] == "cancelled"
    assert cloud.vm()["observed_state"] == "running"
    cloud.assert_clean(vms=1)


def test_reset_leaves_the_vm_where_it_is(cloud):
    vm = cloud.make_vm()
    cloud.done(cloud.api.post("/v1/vms/web/reset"))
    assert cloud.vm() | {"observed_at": 0} == vm | {"observed_at": 0}


def test_delete_leaves_nothing(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.delete("/v1/vms/web"))
    expect(cloud.api.get("/v1/vms/web"), 404, "vm.not_found")
    cloud.assert_clean(vms=0)
    cloud.make_vm()


def test_delete_of_a_stopped_vm_leaves_nothing(cloud):
    cloud.make_vm()
    off(cloud)
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.assert_clean(vms=0)


@pytest.mark.parametrize("verb", [("DELETE", ""), ("POST", "/start"), ("POST", "/force-off"), ("POST", "/migrate")])
def test_a_vm_that_is_being_created_is_busy(cloud, verb):
    cloud.create()
    method, path = verb
    document = expect(cloud.api.request(method, f"/v1/vms/web{path}"), 409, "vm.busy")
    assert "create_vm" in document["detail"]
    cloud.settle()
    cloud.assert_clean(vms=1)


def test_a_queued_create_that_is_cancelled_leaves_nothing(cloud):
    job = cloud.create().json()
    assert cloud.api.delete(f"/v1/jobs/{job['id']}").status_code == 202
    cloud.settle()
    assert cloud.api.get(f"/v1/jobs/{job['id']}").json()["state"] == "cancelled"
    cloud.assert_clean(vms=0)


def test_a_queued_delete_that_is_cancelled_keeps_the_vm_as_it_was(cloud):
    vm = cloud.make_vm()
    job = cloud.api.delete("/v1/vms/web").json()
    assert cloud.vm()["observed_state"] == "deleting"
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    assert cloud.vm() == vm
    cloud.assert_clean(vms=1)


def test_a_queued_start_that_is_cancelled_leaves_the_vm_stopped_for_good(cloud):
    cloud.make_vm()
    off(cloud)
    cloud.observe()
    job = cloud.api.post("/v1/vms/web/start").json()
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    cloud.round("restore_vms")
    cloud.settle()
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("stopped", "stopped")
    cloud.assert_clean(vms=1)


def test_a_start_that_the_hypervisor_refuses_leaves_the_vm_stopped_for_good(cloud):
    cloud.make_vm()
    off(cloud)
    for name in ("host1", "host2"):
        cloud.host(name).refuses = "no such machine type"
    cloud.observe()
    job = cloud.ended(cloud.api.post("/v1/vms/web/start"))
    assert (job["state"], job["error"]["code"]) == ("failed", "domain.refused")
    assert (cloud.vm()["observed_state"], cloud.vm()["desired_state"]) == ("stopped", "stopped")
    cloud.assert_clean(vms=1)


def test_a_vm_whose_deletion_stopped_half_way_is_not_started(cloud):
    cloud.make_vm()
    off(cloud)
    cloud.change(Vm.update(observed_state="deleting"))
    expect(cloud.api.post("/v1/vms/web/start"), 409, "vm.deleting")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.assert_clean(vms=0)


def test_every_accepted_write_has_an_audit_row_with_actor_and_request(cloud):
    before = len(cloud.rows(Audit))
    client = cloud.client("user", **{"X-Request-ID": "r7"})
    cloud.done(client.post("/v1/vms", json={"name": "web", "image": "mini", "flavor": "small"}))
    cloud.done(client.post("/v1/vms/web/force-off"))
    cloud.done(client.delete("/v1/vms/web"))
    rows = [row for row in cloud.rows(Audit)[before:] if row.action != "vm_state"]
    assert [row.action for row in rows] == ["create_vm", "force_off_vm", "delete_vm"]
    assert {(row.actor, row.request_id, row.object_name) for row in rows} == {("user-token", "r7", "web")}
