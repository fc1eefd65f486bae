"""Hosts before and during their use: what is wrong with them, what is granted of them, groups of them."""

import pytest

from service.db.tables import Audit, Host
from service.hypervisor.contract import DomainState
from service.hypervisor.findings import Finding
from tests.api.world import expect

UNFIT = Finding("bridge br-guest", "fail", "no such device", "Make the bridge br-guest.")
DOUBT = Finding("time", "warn", "the clocks differ by 3 s", "Install chrony.")
HOST = {"name": "h1", "address": "10.9.0.1", "vcpus": 8, "memory_mib": 8192}


def machine(cloud, name="h1", address="10.9.0.1"):
    return cloud.hosts.add_host(name, address)


def test_of_a_host_only_the_address_need_be_known(empty):
    machine(empty, "h7")
    job = empty.done(empty.api.post("/v1/hosts", json={"address": "10.9.0.1"}))
    host = empty.api.get("/v1/hosts/h7").json()
    assert (host["name"], host["virt_type"], host["vcpus"]) == ("h7", "qemu", 4)
    assert host["findings"] == job["result"]["findings"]
    assert host["checked_at"]


def test_a_host_that_is_unfit_is_not_added_and_all_that_is_wrong_is_told(empty):
    machine(empty).findings = (UNFIT, Finding("secret", "fail", "no secret", "Define it."), DOUBT)
    job = empty.ended(empty.api.post("/v1/hosts", json=HOST))
    assert (job["state"], job["error"]["code"]) == ("failed", "host.unfit")
    assert "bridge br-guest: no such device. Make the bridge br-guest." in job["error"]["detail"]
    assert "secret: no secret. Define it." in job["error"]["detail"]
    assert "clocks" not in job["error"]["detail"]
    assert not empty.rows(Host)
    empty.assert_clean()


def test_force_takes_a_host_that_lacks_what_it_can_do_without(empty):
    machine(empty).findings = (UNFIT,)
    empty.done(empty.api.post("/v1/hosts", json=HOST | {"force": True}))
    (host,) = empty.api.get("/v1/hosts").json()["items"]
    assert [finding["verdict"] for finding in host["findings"]] == ["ok", "fail"]


def test_force_takes_no_host_that_cannot_work_at_all(empty):
    machine(empty).findings = (Finding("kvm", "fail", "no kernel", "Put one there."),)
    job = empty.ended(empty.api.post("/v1/hosts", json=HOST | {"force": True}))
    assert job["error"]["code"] == "host.unfit"


def test_a_look_changes_nothing_and_leaves_nothing(empty):
    machine(empty).findings = (UNFIT,)
    job = empty.done(empty.api.post("/v1/host-checks", json={"address": "10.9.0.1"}))
    assert (job["result"]["fit"], job["result"]["hostname"]) == (False, "h1")
    assert [finding["check"] for finding in job["result"]["findings"]] == ["reach", "bridge br-guest"]
    assert not empty.rows(Host)
    empty.assert_clean()


def test_a_look_at_a_host_of_the_cloud_is_remembered(cloud):
    cloud.host("host1").findings = (DOUBT,)
    cloud.done(cloud.api.post("/v1/host-checks", json={"host": "host1"}))
    host = cloud.api.get("/v1/hosts/host1").json()
    assert [finding["check"] for finding in host["findings"]] == ["reach", "time"]


@pytest.mark.parametrize("body", [{}, {"host": "host1", "address": "10.9.0.1"}, {"address": "::1"}, {"host": 5}])
def test_a_look_is_at_one_machine(cloud, body):
    expect(cloud.api.post("/v1/host-checks", json=body), 422, "request.invalid")


def test_storage_that_does_not_answer_is_one_of_the_findings(empty):
    machine(empty)
    empty.storage.set_reachable(False)
    job = empty.api.post("/v1/host-checks", json={"address": "10.9.0.1"})
    empty.run_due()
    empty.storage.set_reachable(True)
    found = empty.done(job)["result"]["findings"]
    assert [finding["check"] for finding in found if finding["verdict"] == "fail"] == ["storage"]


def test_a_cordoned_host_gets_no_new_vms_and_keeps_its_own(cloud):
    before = cloud.make_vm("before")
    for name in ("host1", "host2"):
        assert cloud.api.patch(f"/v1/hosts/{name}", json={"state": "cordoned"}).json()["state"] == "cordoned"
    reasons = expect(cloud.create("after"), 409, "placement.no_host")["reasons"]
    assert set(reasons) == {"host1", "host2"}
    assert cloud.vm("before")["host"] == before["host"]
    cloud.api.patch("/v1/hosts/host1", json={"state": "active"})
    assert cloud.make_vm("after")["host"] == "host1"


def test_a_reservation_leaves_something_of_a_host(cloud):
    expect(cloud.api.patch("/v1/hosts/host1", json={"reserved_vcpus": 8}), 422, "host.reservation")
    changed = cloud.api.patch("/v1/hosts/host1", json={"vcpus": 16, "reserved_vcpus": 8}).json()
    assert (changed["vcpus"], changed["reserved"]["vcpus"]) == (16, 8)


def test_a_change_of_a_host_is_audited_with_before_and_after(cloud):
    cloud.api.patch("/v1/hosts/host1", json={"vcpus": 9})
    (row,) = [row for row in cloud.rows(Audit) if row.action == "update_host"]
    assert (row.before, row.after) == ({"vcpus": 8}, {"vcpus": 9})


@pytest.mark.parametrize("body", [{"state": "down"}, {"vcpus": 0}, {"name": "x"}, {"memory_mib": "64"}])
def test_only_what_a_host_is_granted_can_be_changed(cloud, body):
    expect(cloud.api.patch("/v1/hosts/host1", json=body), 422, "request.invalid")


def test_a_removed_host_keeps_no_connection(cloud):
    cloud.observe()
    assert {endpoint.name for endpoint in cloud.hosts.kept} == {"host1", "host2"}
    assert cloud.api.delete("/v1/hosts/host2").status_code == 204
    cloud.observe()
    assert {endpoint.name for endpoint in cloud.hosts.kept} == {"host1"}


def domain(vm_id, *, epoch, name="x"):
    return DomainState(vm_id, name, "running", 1, 64, 0.0, epoch, None)


def test_a_domain_that_should_not_be_on_a_host_is_told(cloud):
    vm = cloud.make_vm()
    other = next(name for name in ("host1", "host2") if name != vm["host"])
    cloud.host(other).domains[vm["id"]] = domain(vm["id"], epoch=1)
    cloud.observe()
    host = cloud.api.get(f"/v1/hosts/{other}").json()
    assert vm["host"] in host["problem"]
    assert [stray["vm_id"] for stray in host["facts"]["strays"]] == [vm["id"]]
    assert [row.action for row in cloud.rows(Audit)].count("host_strays") == 1
    cloud.observe()
    assert [row.action for row in cloud.rows(Audit)].count("host_strays") == 1
    del cloud.host(other).domains[vm["id"]]
    cloud.observe()
    assert cloud.api.get(f"/v1/hosts/{other}").json()["problem"] is None


def test_a_domain_of_nobody_here_is_no_stray_but_listed(cloud):
    cloud.host("host1").domains["0" * 8] = domain("0" * 8, epoch=None, name="theirs")
    cloud.observe()
    host = cloud.api.get("/v1/hosts/host1").json()
    assert host["problem"] is None
    assert [found["name"] for found in host["facts"]["foreign"]] == ["theirs"]


def group(cloud, name="fast", *hosts):
    cloud.created(cloud.api.post("/v1/host-groups", json={"name": name}))
    for host in hosts:
        assert cloud.api.put(f"/v1/host-groups/{name}/hosts/{host}").status_code == 200
    return cloud.api.get(f"/v1/host-groups/{name}").json()


def test_a_project_that_is_bound_to_a_group_uses_its_hosts_only(cloud):
    assert group(cloud, "fast", "host2")["hosts"] == ["host2"]
    assert cloud.api.put("/v1/projects/default/host-groups/fast").status_code == 204
    assert {cloud.make_vm(f"vm{number}")["host"] for number in range(3)} == {"host2"}
    expect(cloud.api.delete("/v1/host-groups/fast"), 409, "host_group.in_use")
    assert cloud.api.delete("/v1/projects/default/host-groups/fast").status_code == 204
    assert cloud.api.delete("/v1/host-groups/fast").status_code == 204
    assert cloud.api.get("/v1/host-groups").json()["items"] == []


def test_a_host_leaves_a_group(cloud):
    group(cloud, "fast", "host1", "host2")
    assert cloud.api.delete("/v1/host-groups/fast/hosts/host1").json()["hosts"] == ["host2"]
    expect(cloud.api.post("/v1/host-groups", json={"name": "fast"}), 409, "host_group.name_taken")
    expect(cloud.api.put("/v1/host-groups/fast/hosts/nobody"), 404, "host.not_found")
    expect(cloud.api.put("/v1/host-groups/slow/hosts/host1"), 404, "host_group.not_found")


def test_a_pool_is_in_use_once_it_was_tried(cloud):
    cloud.storage.add_pool("fast")
    cloud.observe()
    pools = {pool["name"]: pool for pool in cloud.api.get("/v1/pools").json()["items"]}
    assert (pools["fast"]["uses"], pools["vms"]["uses"], pools["vms"]["default_for"]) == ([], ["vms"], ["vms"])
    cloud.done(cloud.api.post("/v1/pools", json={"name": "fast", "uses": ["vms", "images"]}))
    assert cloud.api.get("/v1/pools/fast").json()["uses"] == ["vms", "images"]
    assert cloud.api.delete("/v1/pools/fast").status_code == 204
    assert cloud.api.get("/v1/pools/fast").json()["uses"] == []
    expect(cloud.api.delete("/v1/pools/fast"), 404, "pool.not_found")
    expect(cloud.api.delete("/v1/pools/vms"), 409, "pool.in_use")
    expect(cloud.api.get("/v1/pools/none"), 404, "pool.not_found")


def test_a_pool_that_may_not_be_used_is_not_taken_in(cloud):
    cloud.storage.add_pool("theirs", denied=True)
    for name, code in (("theirs", "storage.denied"), ("nowhere", "storage.not_found")):
        job = cloud.ended(cloud.api.post("/v1/pools", json={"name": name}))
        assert (job["state"], job["error"]["code"]) == ("failed", code)


def test_a_pool_in_use_that_vanishes_is_missed_and_another_forgotten(cloud):
    for name in ("fast", "slow"):
        cloud.storage.add_pool(name)
    cloud.observe()
    cloud.done(cloud.api.post("/v1/pools", json={"name": "fast"}))
    seen_at = cloud.api.get("/v1/pools/fast").json()["observed_at"]
    for name in ("fast", "slow"):
        cloud.storage.drop_pool(name)
    cloud.observe()
    assert cloud.api.get("/v1/pools/fast").json()["observed_at"] == seen_at
    expect(cloud.api.get("/v1/pools/slow"), 404, "pool.not_found")
