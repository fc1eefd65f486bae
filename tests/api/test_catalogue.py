"""Hosts, flavors, networks, pools and jobs over HTTP."""

import pytest

from service.db.tables import Audit, Host
from service.jobs.job_tables import Job
from tests.api.world import expect

HOST = {"name": "h1", "address": "10.9.0.1", "vcpus": 8, "memory_mib": 8192}
FLAVOR = {"name": "f", "vcpus": 1, "memory_mib": 128, "disk_gib": 1}
NETWORK = {
    "name": "n",
    "bridge": "br0",
    "cidr": "10.8.0.0/24",
    "first_address": "10.8.0.10",
    "last_address": "10.8.0.20",
}


def test_an_added_host_is_probed_once_and_active(empty):
    empty.add_host("h1", reserved_vcpus=1, reserved_memory_mib=1024)
    (host,) = empty.api.get("/v1/hosts").json()["items"]
    assert (host["state"], host["virt_type"]) == ("active", "qemu")
    assert host["reserved"] == {"vcpus": 1, "memory_mib": 1024}
    assert empty.api.get("/v1/hosts/h1").json() == empty.api.get(f"/v1/hosts/{host['id']}").json() == host
    empty.assert_clean()


def test_a_host_that_cannot_be_reached_is_not_added(empty):
    job = empty.ended(empty.api.post("/v1/hosts", json=HOST))
    assert (job["state"], job["error"]["code"]) == ("failed", "host.unreachable")
    assert not empty.rows(Host)


def test_a_host_that_is_being_added_is_not_removed_and_can_be_cancelled(empty):
    job = empty.api.post("/v1/hosts", json=HOST).json()
    expect(empty.api.delete("/v1/hosts/h1"), 409, "host.busy")
    empty.api.delete(f"/v1/jobs/{job['id']}")
    empty.settle()
    assert not empty.rows(Host)


@pytest.mark.parametrize("taken", [{"name": "other"}, {"address": "10.9.0.2"}], ids=["address", "name"])
def test_a_host_is_known_once_by_name_and_by_address(empty, taken):
    empty.api.post("/v1/hosts", json=HOST)
    expect(empty.api.post("/v1/hosts", json=HOST | taken), 409, "host.name_taken")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "<h>"},
        {"address": "10.9.0.300"},
        {"address": "::1"},
        {"vcpus": 0},
        {"vcpus": "8"},
        {"vcpus": 8.5},
        {"vcpus": True},
        {"memory_mib": 1},
        {"memory_mib": 10**30},
        {"reserved_vcpus": -1},
        {"ceph_user": "a\n"},
    ],
    ids=str,
)
def test_a_wrong_field_of_a_host_is_named(empty, wrong):
    errors = expect(empty.api.post("/v1/hosts", json=HOST | wrong), 422, "request.invalid")["errors"]
    assert [error["field"] for error in errors] == list(wrong)


@pytest.mark.parametrize("wrong", [{"reserved_vcpus": 8}, {"reserved_memory_mib": 8192}], ids=str)
def test_a_reservation_leaves_something_of_the_host(empty, wrong):
    answer = empty.api.post("/v1/hosts", json=HOST | wrong)
    assert "must leave vCPUs and memory" in expect(answer, 422, "request.invalid")["errors"][0]["message"]


def test_a_host_with_vms_stays_and_an_empty_one_goes(cloud):
    vm = cloud.make_vm()
    expect(cloud.api.delete(f"/v1/hosts/{vm['host']}"), 409, "host.in_use")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    assert cloud.api.delete(f"/v1/hosts/{vm['host']}").status_code == 204
    expect(cloud.api.get(f"/v1/hosts/{vm['host']}"), 404, "host.not_found")
    expect(cloud.api.delete(f"/v1/hosts/{vm['host']}"), 404, "host.not_found")


def test_a_flavor_starts_at_its_ceiling_unless_told_otherwise(empty):
    plain = empty.created(empty.api.post("/v1/flavors", json=FLAVOR))
    assert (plain["max_vcpus"], plain["max_memory_mib"], plain["disk_bytes"]) == (1, 128, 1 << 30)
    grown = empty.created(empty.api.post("/v1/flavors", json=FLAVOR | {"name": "g", "max_vcpus": 4}))
    assert grown["max_vcpus"] == 4
    assert [flavor["name"] for flavor in empty.api.get("/v1/flavors").json()["items"]] == ["f", "g"]
    assert empty.api.get("/v1/flavors/g").json() == grown


def test_a_ceiling_below_the_start_is_refused(empty):
    wrong = FLAVOR | {"vcpus": 2, "max_vcpus": 1}
    expect(empty.api.post("/v1/flavors", json=wrong), 422, "request.invalid")


def test_a_flavor_is_taken_once_and_stays_while_a_vm_has_it(cloud):
    expect(cloud.api.post("/v1/flavors", json=FLAVOR | {"name": "small"}), 409, "flavor.name_taken")
    cloud.make_vm()
    expect(cloud.api.delete("/v1/flavors/small"), 409, "flavor.in_use")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    assert cloud.api.delete("/v1/flavors/small").status_code == 204
    expect(cloud.api.get("/v1/flavors/small"), 404, "flavor.not_found")


def test_a_network_is_taken_once_and_stays_while_a_vm_is_on_it(cloud):
    expect(cloud.api.post("/v1/networks", json=NETWORK | {"name": "guests"}), 409, "network.name_taken")
    cloud.make_vm()
    expect(cloud.api.delete("/v1/networks/guests"), 409, "network.in_use")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    assert cloud.api.delete("/v1/networks/guests").status_code == 204
    expect(cloud.api.get("/v1/networks/guests"), 404, "network.not_found")


@pytest.mark.parametrize(
    "wrong",
    [
        {"bridge": "br 0"},
        {"bridge": "x" * 16},
        {"cidr": "10.8.0.1/24"},
        {"cidr": "10.8.0.0/33"},
        {"cidr": "fd00::/64"},
        {"first_address": "10.8.0"},
        {"dns": ["x"]},
        {"dns": ["10.8.0.1"] * 4},
        {"gateway": "gw"},
        {"name": "a b"},
    ],
    ids=str,
)
def test_a_wrong_field_of_a_network_is_named(empty, wrong):
    errors = expect(empty.api.post("/v1/networks", json=NETWORK | wrong), 422, "request.invalid")["errors"]
    assert {error["field"].split(".")[0] for error in errors} == set(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_address": "10.9.0.10"},
        {"first_address": "10.8.0.21"},
        {"gateway": "10.8.0.15"},
        {"gateway": "10.7.0.1"},
        {"first_address": "10.8.0.0"},
        {"last_address": "10.8.0.255"},
    ],
    ids=str,
)
def test_addresses_that_no_guest_could_use_are_refused(empty, wrong):
    expect(empty.api.post("/v1/networks", json=NETWORK | wrong), 422, "request.invalid")


def test_a_network_is_listed_as_it_was_made(empty):
    made = empty.network()
    assert empty.api.get("/v1/networks").json()["items"] == [made]
    assert empty.api.get("/v1/networks/guests").json() == made
    assert made["dns"] == ["10.2.0.1"]


def test_on_one_bridge_an_address_is_given_out_by_one_network(empty):
    empty.created(empty.api.post("/v1/networks", json=NETWORK))
    second = NETWORK | {"name": "m", "first_address": "10.8.0.20", "last_address": "10.8.0.30"}
    expect(empty.api.post("/v1/networks", json=second), 409, "network.overlaps")
    empty.created(empty.api.post("/v1/networks", json=second | {"bridge": "br1"}))
    empty.created(empty.api.post("/v1/networks", json=second | {"name": "o", "first_address": "10.8.0.21"}))


def test_pools_and_storage_are_shown_as_last_seen(empty):
    assert empty.api.get("/v1/storage").json() == {"status": None, "osds": [], "observed_at": None}
    empty.observe()
    assert empty.api.get("/v1/storage").json()["status"] == "HEALTH_OK"
    assert [pool["name"] for pool in empty.api.get("/v1/pools").json()["items"]] == ["images", "vms"]


# Jobs.


def test_jobs_are_listed_newest_first_without_the_services_rounds(cloud):
    vm = cloud.make_vm()
    cloud.clock.elapsed_s += 1
    cloud.done(cloud.api.post("/v1/vms/web/reset"))
    jobs = cloud.api.get("/v1/jobs").json()["items"]
    assert [job["kind"] for job in jobs[:2]] == ["reset_vm", "create_vm"]
    assert {job["kind"] for job in jobs[2:]} == {"import_image", "add_host"}
    narrowed = cloud.api.get("/v1/jobs", params={"object_id": vm["id"], "limit": 1, "state": "succeeded"}).json()
    assert [job["kind"] for job in narrowed["items"]] == ["reset_vm"]
    with_rounds = cloud.api.get("/v1/jobs", params={"rounds": "true"}).json()["items"]
    assert "observe_hosts" in {job["kind"] for job in with_rounds}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "9" * 5000),
        ("limit", "-1"),
        ("limit", "x"),
        ("limit", "²"),
        ("state", "done"),
        ("rounds", "yes"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(empty, field, value):
    answer = empty.api.get("/v1/jobs", params={field: value})
    assert expect(answer, 422, "request.invalid")["errors"][0]["field"] == field


def test_an_unknown_job_is_not_found(empty):
    expect(empty.api.get("/v1/jobs/nothing"), 404, "job.not_found")
    expect(empty.api.get("/v1/jobs/nothing", params={"wait": 1}), 404, "job.not_found")
    expect(empty.api.delete("/v1/jobs/nothing"), 404, "job.not_found")


def test_an_ended_job_is_not_cancelled(cloud):
    expect(cloud.api.delete(f"/v1/jobs/{cloud.rows(Job)[0].id}"), 409, "job.finished")


def test_a_user_cancels_only_what_that_user_asked_for(cloud):
    user = cloud.client("user")
    others = cloud.create("others").json()
    own = user.post("/v1/vms", json={"name": "own", "image": "mini", "flavor": "small"}).json()
    expect(user.delete(f"/v1/jobs/{others['id']}"), 403, "auth.forbidden")
    assert user.delete(f"/v1/jobs/{own['id']}").status_code == 202
    cloud.settle()
    assert [vm["name"] for vm in cloud.api.get("/v1/vms").json()["items"]] == ["others"]
    assert [row.action for row in cloud.rows(Audit) if row.action != "vm_state"][-1] == "cancel_job"


def test_waiting_for_a_job_ends_with_the_time(cloud):
    job = cloud.create().json()
    before = cloud.clock.monotonic()
    answer = cloud.api.get(f"/v1/jobs/{job['id']}", params={"wait": 30})
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    assert cloud.clock.monotonic() - before == 30
    cloud.settle()


def test_a_wait_is_no_longer_than_the_settings_allow(cloud):
    job = cloud.create().json()
    before = cloud.clock.monotonic()
    cloud.api.get(f"/v1/jobs/{job['id']}", params={"wait": 10**9})
    assert cloud.clock.monotonic() - before == cloud.settings.max_wait_s
    cloud.settle()
