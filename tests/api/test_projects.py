"""Projects: who sees what, how much they may have, on which hosts."""

import pytest

from service.db.tables import Host, HostGroup, HostGroupMember, Image, ImageShare
from tests.api.folk import assert_counted, person, project, used
from tests.api.test_events import Listener
from tests.api.world import KEY, expect, threads

VM = {"image": "mini", "flavor": "small", "ssh_keys": [KEY]}


@pytest.fixture
def two(cloud):
    """A cloud whose image is offered to everybody, with the projects blue and green and somebody in each."""
    cloud.change(Image.update(visibility="public"))
    project(cloud, "blue")
    project(cloud, "green")
    cloud.blue, cloud.green = person(cloud, "bea", "user", "blue"), person(cloud, "gus", "user", "green")
    return cloud


def made(cloud, client, name="web", **more):
    cloud.observe()
    cloud.done(client.post("/v1/vms", json={"name": name} | VM | more))
    return client.get(f"/v1/vms/{name}").json()


def test_two_projects_use_one_name_and_see_their_own_only(two):
    blue, green = made(two, two.blue), made(two, two.green)
    assert blue["id"] != green["id"]
    assert [one["id"] for one in two.blue.get("/v1/vms").json()["items"]] == [blue["id"]]
    expect(two.green.get(f"/v1/vms/{blue['id']}"), 404, "vm.not_found")
    assert {one["id"] for one in two.api.get("/v1/vms").json()["items"]} == {blue["id"], green["id"]}
    expect(two.api.get("/v1/vms/web"), 404, "vm.not_found")
    assert two.api.get("/v1/vms/web", params={"project": "green"}).json() == green
    assert_counted(two)


def test_another_projects_object_is_answered_like_a_missing_one(two):
    foreign, missing = made(two, two.blue)["id"], "00000000-0000-4000-8000-00000000dead"
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/start"),
        ("POST", "/force-off"),
        ("GET", "/placement"),
    ):
        body = {"json": {}} if method == "POST" else {}
        one, other = (two.green.request(method, f"/v1/vms/{ref}{path}", **body) for ref in (foreign, missing))
        assert one.text.replace(foreign, missing).replace(_id(one), _id(other)) == other.text
        assert one.status_code == other.status_code == 404


def _id(answer):
    return answer.json()["request_id"]


def test_jobs_are_their_projects(two):
    job = two.blue.post("/v1/vms", json={"name": "web"} | VM).json()
    assert job["project_id"] == two.api.get("/v1/projects/blue").json()["id"]
    expect(two.green.get(f"/v1/jobs/{job['id']}"), 404, "job.not_found")
    expect(two.green.delete(f"/v1/jobs/{job['id']}"), 404, "job.not_found")
    assert two.green.get("/v1/jobs").json()["items"] == []
    assert two.green.get("/v1/jobs", params={"object_id": job["object"]["id"]}).json()["items"] == []
    assert [one["id"] for one in two.blue.get("/v1/jobs").json()["items"]] == [job["id"]]
    two.settle()


def test_whoever_works_in_several_projects_says_in_which(two):
    both = person(two, "kim", "user", "blue", "green")
    expect(both.post("/v1/vms", json={"name": "web"} | VM), 422, "project.not_named")
    two.done(both.post("/v1/vms", params={"project": "green"}, json={"name": "web"} | VM))
    assert [one["name"] for one in both.get("/v1/vms").json()["items"]] == ["web"]
    assert both.get("/v1/vms", params={"project": "blue"}).json()["items"] == []
    expect(both.get("/v1/vms", params={"project": "default"}), 404, "project.not_found")
    expect(both.get("/v1/vms", params={"project": "nowhere"}), 404, "project.not_found")


def test_a_private_image_is_nobody_elses(two):
    two.change(Image.update(visibility="private"))
    image = two.rows(Image)[0]
    for ref in ("mini", image.id):
        expect(two.blue.get(f"/v1/images/{ref}"), 404, "image.not_found")
        expect(two.blue.post("/v1/vms", json={"name": "web"} | VM | {"image": ref}), 422, "image.not_found")
    assert two.blue.get("/v1/images").json()["items"] == []


def test_a_shared_image_is_the_named_projects_too(two):
    two.change(Image.update(visibility="shared"))
    blue = two.api.get("/v1/projects/blue").json()["id"]
    two.change(ImageShare.insert(image=two.rows(Image)[0].id, project=blue))
    assert made(two, two.blue)["image"] == "mini"
    expect(two.green.get("/v1/images/mini"), 404, "image.not_found")


def test_an_offered_image_is_used_and_not_changed(two):
    image = two.rows(Image)[0]
    assert made(two, two.blue)["image"] == "mini"
    expect(two.blue.delete(f"/v1/images/{image.id}"), 403, "auth.forbidden")


def test_a_viewer_looks_and_changes_nothing(two):
    made(two, two.blue)
    viewer = person(two, "vic", "viewer", "blue")
    assert viewer.get("/v1/vms/web").status_code == 200
    expect(viewer.delete("/v1/vms/web"), 403, "auth.forbidden")
    expect(viewer.post("/v1/vms", json={"name": "x"} | VM), 403, "auth.forbidden")


def test_an_operator_runs_the_vms_of_every_project_and_manages_nobody(two):
    vm = made(two, two.blue)
    operator = two.client("operator")
    two.done(operator.post(f"/v1/vms/{vm['id']}/migrate", json={}))
    expect(two.blue.post("/v1/vms/web/migrate", json={}), 403, "auth.forbidden")
    for answer in (operator.get("/v1/users"), operator.post("/v1/projects", json={"name": "x"})):
        expect(answer, 403, "auth.forbidden")
    expect(operator.put("/v1/projects/blue/quotas/vms", json={"limit": 99}), 403, "auth.forbidden")


def test_a_member_who_is_removed_sees_nothing_from_the_next_request_on(two):
    vm = made(two, two.blue)
    assert two.api.delete("/v1/projects/blue/members/bea").status_code == 204
    assert two.blue.get("/v1/vms").json()["items"] == []
    expect(two.blue.get(f"/v1/vms/{vm['id']}"), 404, "vm.not_found")
    assert two.api.put("/v1/projects/blue/members/bea").status_code == 204
    assert two.blue.get("/v1/vms/web").status_code == 200
    assert [one["name"] for one in two.api.get("/v1/projects/blue").json()["members"]] == ["bea"]


def test_a_member_who_is_removed_hears_nothing_more_and_a_disabled_one_is_hung_up_on(two):
    two.tokens["bea"] = two.blue.headers["Authorization"].removeprefix("Bearer ")
    bea = Listener(two, "bea", "?after=0")
    assert {data["kind"] for _, _, data in bea.events()} >= {"create_project"}
    two.api.delete("/v1/projects/blue/members/bea")
    two.done(two.api.post("/v1/vms", params={"project": "blue"}, json={"name": "web"} | VM))
    assert bea.events() == []
    two.api.patch("/v1/users/bea", json={"disabled": True})
    assert list(bea.chunks) == []
    bea.close()


def test_projects_are_made_changed_and_removed_when_they_own_nothing(two):
    expect(two.api.post("/v1/projects", json={"name": "blue"}), 409, "project.name_taken")
    made(two, two.blue)
    expect(two.api.delete("/v1/projects/blue"), 409, "project.in_use")
    assert two.api.patch("/v1/projects/green", json={"name": "teal", "description": "sea"}).json()["name"] == "teal"
    assert two.api.delete("/v1/projects/teal").status_code == 204
    expect(two.api.get("/v1/projects/teal"), 404, "project.not_found")
    expect(two.blue.get("/v1/projects/default"), 404, "project.not_found")


def test_a_quota_counts_what_is_there_and_refuses_what_is_too_much(two):
    assert two.api.put("/v1/projects/blue/quotas/vms", json={"limit": 1}).json() == {
        "resource": "vms",
        "limit": 1,
        "used": 0,
    }
    made(two, two.blue)
    problem = expect(two.blue.post("/v1/vms", json={"name": "b"} | VM), 409, "quota.exceeded")
    assert all(word in problem["detail"] for word in ("blue", "may have 1 vms", "has 1", "1 more"))
    assert used(two, "blue") == {
        "vms": 1, "vcpus": 1, "memory_mib": 448, "volumes": 1, "addresses": 1, "gib:vms": 1,
    }  # fmt: skip
    two.done(two.blue.delete("/v1/vms/web"))
    assert used(two, "blue") == {}
    made(two, two.blue, "b")
    assert_counted(two)


@pytest.mark.parametrize(
    ("resource", "limit"), [("vcpus", 0), ("memory_mib", 447), ("volumes", 0), ("addresses", 0), ("gib:vms", 0)]
)
def test_every_resource_is_limited(two, resource, limit):
    two.api.put(f"/v1/projects/blue/quotas/{resource}", json={"limit": limit})
    expect(two.blue.post("/v1/vms", json={"name": "web"} | VM), 409, "quota.exceeded")
    two.api.put(f"/v1/projects/blue/quotas/{resource}", json={"limit": None})
    two.done(two.blue.post("/v1/vms", json={"name": "web"} | VM))
    assert_counted(two)


@pytest.mark.parametrize("resource", ["gpus", "gib:nowhere", "gib:", "VMS"])
def test_a_quota_of_something_unknown_is_refused(two, resource):
    answer = two.api.put(f"/v1/projects/blue/quotas/{resource}", json={"limit": 1})
    expect(answer, 422, "quota.unknown_resource")


def test_whoever_works_there_sees_what_the_project_may_have_and_nobody_else(two):
    two.api.put("/v1/projects/blue/quotas/vms", json={"limit": 3})
    assert two.blue.get("/v1/projects/blue/quotas").json()["items"] == [{"resource": "vms", "limit": 3, "used": 0}]
    expect(two.green.get("/v1/projects/blue/quotas"), 404, "project.not_found")


def test_a_stopped_vm_keeps_its_quota(two):
    made(two, two.blue)
    before = used(two, "blue")
    two.done(two.blue.post("/v1/vms/web/force-off", json={}))
    assert used(two, "blue") == before
    assert_counted(two)


def test_a_vm_that_was_not_made_after_all_gives_its_quota_back(two):
    job = two.blue.post("/v1/vms", json={"name": "web"} | VM).json()
    assert used(two, "blue")["vms"] == 1
    two.blue.delete(f"/v1/jobs/{job['id']}")
    two.settle()
    assert used(two, "blue") == {}
    assert_counted(two)


def test_a_create_that_no_host_takes_costs_no_quota(two):
    two.flavor("huge", memory_mib=1 << 20)
    expect(two.blue.post("/v1/vms", json={"name": "web"} | VM | {"flavor": "huge"}), 409, "placement.no_host")
    assert used(two, "blue") == {}


def test_of_many_creates_at_once_exactly_as_many_pass_as_the_quota_says(two):
    two.api.put("/v1/projects/blue/quotas/vms", json={"limit": 10})
    codes = []

    def create(number):
        answer = two.blue.post("/v1/vms", json={"name": f"vm{number}"} | VM)
        while answer.status_code == 503:
            answer = two.blue.post("/v1/vms", json={"name": f"vm{number}"} | VM)
        codes.append(answer.json().get("code", answer.status_code))

    threads(200, create)
    assert codes.count(202) == 10
    assert codes.count("quota.exceeded") == 190
    assert used(two, "blue")["vms"] == 10
    two.settle()
    assert_counted(two)


def test_a_project_stays_on_the_hosts_of_its_groups(two):
    host = two.rows(Host)[1]
    two.change(HostGroup.insert(id="g", created_at=two.clock.now(), name="rack-b"))
    two.change(HostGroupMember.insert(group="g", host=host.id))
    assert two.api.put("/v1/projects/blue/host-groups/rack-b").status_code == 204
    assert made(two, two.blue)["host"] == host.name
    two.change(HostGroupMember.delete())
    reasons = expect(two.blue.post("/v1/vms", json={"name": "b"} | VM), 409, "placement.no_host")["reasons"]
    assert all("in no host group of the project" in why for why in reasons.values())
    assert two.api.delete("/v1/projects/blue/host-groups/rack-b").status_code == 204
    made(two, two.blue, "b")
