"""Rules that keep a project's VMs together or apart."""

import pytest

from service.db.tables import Image, PlacementGroup, PlacementGroupMember, Vm
from tests.api.folk import person, project
from tests.api.world import Cloud, expect


@pytest.fixture
def three(cloud) -> Cloud:
    """A cloud with three hosts."""
    cloud.add_host("host3")
    cloud.observe()
    return cloud


def group(cloud, name: str, kind: str = "anti_affinity", **more) -> dict:
    return cloud.created(cloud.api.post("/v1/placement-groups", json={"name": name, "kind": kind} | more))


def shown(cloud, name: str) -> dict:
    return cloud.api.get(f"/v1/placement-groups/{name}").json()


def edit(cloud, vm: str, *groups: str):
    return cloud.api.patch(f"/v1/vms/{vm}", json={"placement_groups": list(groups)})


def move(cloud, vm: str, host: str):
    cloud.observe()
    return cloud.api.post(f"/v1/vms/{vm}/migrate", json={"host": host})


def test_a_group_has_a_name_a_kind_and_is_hard_unless_said_otherwise(cloud):
    made = group(cloud, "db")
    assert (made["kind"], made["hard"], made["broken"], made["vms"]) == ("anti_affinity", True, False, [])
    assert group(cloud, "web", "affinity", hard=False)["hard"] is False
    assert [one["name"] for one in cloud.api.get("/v1/placement-groups").json()["items"]] == ["db", "web"]
    found = cloud.api.get("/v1/placement-groups", params={"kind": "affinity"}).json()["items"]
    assert [one["name"] for one in found] == ["web"]


def test_a_name_is_there_once_per_project(cloud):
    group(cloud, "db")
    taken = cloud.api.post("/v1/placement-groups", json={"name": "db", "kind": "affinity"})
    expect(taken, 409, "placement_group.name_taken")
    project(cloud, "blue")
    blue = {"params": {"project": "blue"}, "json": {"name": "db", "kind": "affinity"}}
    assert cloud.api.post("/v1/placement-groups", **blue).status_code == 201


def test_vms_that_are_kept_apart_are_on_different_hosts_and_one_too_many_is_told_why(cloud):
    group(cloud, "db")
    hosts = {cloud.make_vm(f"db-{number}", placement_groups=["db"])["host"] for number in (1, 2)}
    assert hosts == {"host1", "host2"}
    refused = expect(cloud.create("db-3", placement_groups=["db"]), 409, "placement.no_host")
    for reasons in refused["reasons"].values():
        assert any("anti-affinity 'db'" in reason for reason in reasons), reasons


def test_vms_that_are_kept_together_follow_the_first_one(three):
    group(three, "app", "affinity")
    hosts = {three.make_vm(f"app-{number}", placement_groups=["app"])["host"] for number in range(4)}
    assert len(hosts) == 1


def test_affinity_to_a_host_without_room_is_told_as_such(cloud):
    group(cloud, "app", "affinity")
    host = cloud.make_vm("one", placement_groups=["app"])["host"]
    cloud.flavor("large", vcpus=8, memory_mib=512)
    cloud.observe()
    refused = expect(cloud.create("two", flavor="large", placement_groups=["app"]), 409, "placement.no_host")
    other = "host2" if host == "host1" else "host1"
    assert any("vCPU short" in reason for reason in refused["reasons"][host])
    assert any("affinity 'app'" in reason for reason in refused["reasons"][other])


def test_a_soft_rule_is_obeyed_while_it_can_be_and_then_broken(cloud):
    group(cloud, "db", hard=False)
    vms = [cloud.make_vm(f"db-{number}", placement_groups=["db"]) for number in (1, 2, 3)]
    assert {vm["host"] for vm in vms[:2]} == {"host1", "host2"}
    assert shown(cloud, "db")["broken"]
    mate = next(vm["name"] for vm in vms[:2] if vm["host"] == vms[2]["host"])
    assert cloud.vm("db-3")["broken_rules"] == [f"anti-affinity 'db': {mate} on the same host"]


def test_a_rule_counts_from_the_next_placement_on_and_what_runs_against_it_is_shown(three):
    vms = [three.make_vm(f"db-{number}") for number in (1, 2)]
    if vms[0]["host"] != vms[1]["host"]:
        three.done(move(three, "db-2", vms[0]["host"]))
    group(three, "db")
    for vm in vms:
        assert edit(three, vm["name"], "db").status_code == 200
    together = three.vm("db-1")["host"]
    assert three.vm("db-2")["host"] == together
    assert three.vm("db-1")["broken_rules"] == ["anti-affinity 'db': db-2 on the same host"]
    assert shown(three, "db")["broken"]
    three.observe()
    three.done(three.api.post("/v1/vms/db-2/migrate", json={}))
    assert three.vm("db-2")["host"] != together
    assert three.vm("db-1")["broken_rules"] == []
    assert not shown(three, "db")["broken"]


def test_a_vm_alone_in_its_affinity_group_may_move_and_one_with_company_may_not(three):
    group(three, "app", "affinity")
    source = three.make_vm("one", placement_groups=["app"])["host"]
    target = next(name for name in ("host1", "host2", "host3") if name != source)
    three.done(move(three, "one", target))
    three.make_vm("two", placement_groups=["app"])
    assert three.vm("two")["host"] == target
    refused = expect(move(three, "one", source), 409, "placement.no_host")
    assert any("affinity 'app'" in reason for reason in refused["reasons"][source])


def test_a_stopped_vm_holds_nobody_back(cloud):
    group(cloud, "db")
    for number in (1, 2):
        cloud.make_vm(f"db-{number}", placement_groups=["db"])
    cloud.done(cloud.api.post("/v1/vms/db-1/force-off", json={}))
    cloud.make_vm("db-3", placement_groups=["db"])
    refused = expect(cloud.api.post("/v1/vms/db-1/start", json={}), 409, "placement.no_host")
    assert len(refused["reasons"]) == 2


def test_two_vms_cannot_be_kept_together_and_apart(cloud):
    group(cloud, "near", "affinity")
    group(cloud, "far")
    cloud.make_vm("one", placement_groups=["near", "far"])
    cloud.make_vm("two", placement_groups=["near"])
    refused = expect(edit(cloud, "two", "near", "far"), 409, "placement_group.contradiction")
    for word in ("affinity 'near'", "anti-affinity 'far'", "'one'", "'two'"):
        assert word in refused["detail"]
    assert cloud.vm("two")["placement_groups"] == ["near"]
    refused = expect(cloud.create("three", placement_groups=["near", "far"]), 409, "placement_group.contradiction")
    assert cloud.api.get("/v1/vms/three").status_code == 404


def test_a_soft_rule_contradicts_nothing_until_it_is_made_hard(cloud):
    group(cloud, "near", "affinity")
    group(cloud, "far", hard=False)
    for name in ("one", "two"):
        cloud.make_vm(name, placement_groups=["near", "far"])
    refused = cloud.api.patch("/v1/placement-groups/far", json={"hard": True})
    expect(refused, 409, "placement_group.contradiction")
    assert shown(cloud, "far")["hard"] is False
    assert cloud.api.patch("/v1/placement-groups/near", json={"hard": False}).json()["hard"] is False
    assert cloud.api.patch("/v1/placement-groups/far", json={"hard": True}).json()["hard"] is True


def test_affinity_to_a_host_that_anti_affinity_forbids_is_told_as_a_contradiction(cloud):
    group(cloud, "near", "affinity")
    group(cloud, "far")
    host = cloud.make_vm("mate", placement_groups=["near"])["host"]
    cloud.make_vm("rival")
    if cloud.vm("rival")["host"] != host:
        cloud.done(move(cloud, "rival", host))
    assert edit(cloud, "rival", "far").status_code == 200
    cloud.observe()
    refused = expect(cloud.create("new", placement_groups=["near", "far"]), 409, "placement_group.contradiction")
    assert f"affinity 'near' requires {host}, anti-affinity 'far' forbids {host}" in refused["detail"]


def test_a_declaration_changes_the_rules_of_a_vm_and_names_them_in_its_difference(cloud):
    group(cloud, "db")
    group(cloud, "web")
    cloud.make_vm("one", placement_groups=["db"])
    body = {"name": "one", "image": "mini", "flavor": "small"}
    answer = cloud.api.put("/v1/vms/one", json=body | {"placement_groups": ["web"]}).json()
    assert answer["diff"] == [{"field": "placement_groups", "from": ["db"], "to": ["web"], "when": "now"}]
    assert cloud.vm("one")["placement_groups"] == ["web"]
    assert cloud.api.put("/v1/vms/one", json=body).json()["changed"] is False
    assert cloud.api.put("/v1/vms/one", json=body | {"placement_groups": ["web"]}).json()["changed"] is False


def test_a_batch_obeys_its_rules_among_itself(three):
    group(three, "db")
    body = {"name": "db", "image": "mini", "flavor": "small", "placement_groups": ["db"], "count": 3}
    batch = three.api.post("/v1/vm-batches", json=body)
    assert batch.status_code == 202, batch.text
    three.settle()
    assert {three.vm(f"db-{number}")["host"] for number in (1, 2, 3)} == {"host1", "host2", "host3"}
    expect(three.api.post("/v1/vm-batches", json=body | {"name": "more", "count": 1}), 409, "placement.no_host")


def test_a_group_that_vms_obey_is_not_removed_and_a_deleted_vm_leaves_it(cloud):
    group(cloud, "db")
    cloud.make_vm("one", placement_groups=["db"])
    refused = expect(cloud.api.delete("/v1/placement-groups/db"), 409, "placement_group.in_use")
    assert "one" in refused["detail"]
    cloud.done(cloud.api.delete("/v1/vms/one"))
    assert cloud.rows(PlacementGroupMember) == []
    assert cloud.api.delete("/v1/placement-groups/db").status_code == 204
    assert cloud.rows(PlacementGroup) == []


def test_a_project_with_a_group_is_not_removed(cloud):
    project(cloud, "blue")
    cloud.created(
        cloud.api.post("/v1/placement-groups", params={"project": "blue"}, json={"name": "db", "kind": "affinity"})
    )
    expect(cloud.api.delete("/v1/projects/blue"), 409, "project.in_use")


def test_a_group_of_another_project_is_a_missing_one_even_for_who_sees_both(cloud):
    cloud.change(Image.update(visibility="public"))
    for name in ("blue", "green"):
        project(cloud, name)
    made = cloud.api.post("/v1/placement-groups", params={"project": "green"}, json={"name": "db", "kind": "affinity"})
    bea = person(cloud, "bea", "user", "blue")
    cloud.observe()
    cloud.done(bea.post("/v1/vms", json={"name": "web", "image": "mini", "flavor": "small"}))
    vm = bea.get("/v1/vms/web").json()["id"]
    for client in (bea, cloud.api):
        for ref in ("db", cloud.created(made)["id"]):
            answer = client.patch(f"/v1/vms/{vm}", json={"placement_groups": [ref]})
            expect(answer, 422, "placement_group.not_found")
    assert cloud.api.get(f"/v1/vms/{vm}").json()["placement_groups"] == []


def test_an_operator_puts_a_vm_into_a_group_of_its_own_project_by_name(cloud):
    cloud.change(Image.update(visibility="public"))
    project(cloud, "blue")
    bea = person(cloud, "bea", "user", "blue")
    cloud.created(bea.post("/v1/placement-groups", json={"name": "db", "kind": "affinity"}))
    cloud.observe()
    cloud.done(bea.post("/v1/vms", json={"name": "web", "image": "mini", "flavor": "small"}))
    vm = cloud.rows(Vm)[0].id
    answer = cloud.client("operator").patch(f"/v1/vms/{vm}", json={"placement_groups": ["db"]})
    assert answer.json()["placement_groups"] == ["db"]


def test_what_is_done_to_a_group_is_audited(cloud):
    group(cloud, "db")
    cloud.make_vm("one")
    edit(cloud, "one", "db")
    cloud.api.patch("/v1/placement-groups/db", json={"hard": False})
    rows = cloud.api.get("/v1/audit", params={"limit": 100}).json()["items"]
    by_action = {row["action"]: row for row in rows}
    assert by_action["create_placement_group"]["after"] == {"name": "db", "kind": "anti_affinity", "hard": True}
    assert by_action["update_placement_group"]["before"]["hard"] is True
    assert by_action["update_vm"]["before"]["placement_groups"] == []
    assert by_action["update_vm"]["after"]["placement_groups"] == ["db"]


def test_nobody_is_placed_beside_a_vm_that_is_about_to_be_elsewhere(three):
    group(three, "front", "affinity")
    home = three.make_vm("web", placement_groups=["front"])["host"]
    target = max({"host1", "host2", "host3"} - {home})
    three.observe()
    moving = three.api.post("/v1/vms/web/migrate", json={"host": target})
    told = expect(three.create("db", placement_groups=["front"]), 409, "placement_group.moving")
    assert "affinity 'front'" in told["detail"]
    three.done(moving)
    assert three.make_vm("db", placement_groups=["front"])["host"] == target
    assert shown(three, "front")["broken"] is False
