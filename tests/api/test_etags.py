"""ETags: nothing new is missed, and nobody changes what they have not seen."""

import pytest

from service.db.tables import Flavor, Host, Vm
from tests.api.world import expect

STALE = '"00000000.00000000"'


def etag(cloud, path):
    answer = cloud.api.get(path)
    assert answer.status_code == 200
    return answer.headers["etag"]


def definition(tag):
    return tag.strip('"').partition(".")[0]


@pytest.fixture
def vm(cloud):
    cloud.make_vm()
    return "/v1/vms/web"


@pytest.mark.parametrize("path", ["/v1/vms/web", "/v1/vms", "/v1/flavors/small", "/v1/hosts/host1", "/v1/images/mini"])
def test_what_has_not_changed_is_not_sent_again(cloud, vm, path):
    tag = etag(cloud, path)
    answer = cloud.api.get(path, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert cloud.api.get(path, headers={"If-None-Match": f'W/{tag}, "x"'}).status_code == 304
    assert cloud.api.get(path, headers={"If-None-Match": STALE}).status_code == 200


def test_what_was_observed_makes_another_answer_of_the_same_definition(cloud, vm):
    before = etag(cloud, vm)
    cloud.done(cloud.api.post(f"{vm}/force-off"))
    after = etag(cloud, vm)
    assert before != after
    assert definition(before) == definition(after)
    assert cloud.api.get(vm, headers={"If-None-Match": before}).status_code == 200


def test_a_change_of_what_has_not_changed_is_done(cloud, vm):
    tag = etag(cloud, vm)
    cloud.done(cloud.api.post(f"{vm}/force-off", headers={"If-Match": tag}))
    cloud.done(cloud.api.delete(vm, headers={"If-Match": f'"x", {tag}'}))
    assert cloud.rows(Vm) == []


def test_yesterday_s_tag_changes_nothing(cloud, vm):
    tag = etag(cloud, vm)
    cloud.change(Vm.update(ssh_keys=[], description="another", tags=["new"]))
    for ask in (
        lambda: cloud.api.delete(vm, headers={"If-Match": tag}),
        lambda: cloud.api.delete(vm, headers={"If-Match": STALE}),
        lambda: cloud.api.delete(vm, headers={"If-Match": f"W/{etag(cloud, vm)}"}),
        lambda: cloud.api.post(f"{vm}/force-off", headers={"If-Match": tag}),
    ):
        expect(ask(), 412, "object.changed")
    cloud.assert_clean(vms=1)


def test_a_star_matches_what_is_there(cloud):
    assert cloud.api.delete("/v1/flavors/small", headers={"If-Match": "*"}).status_code == 204
    assert cloud.rows(Flavor) == []
    expect(cloud.api.delete("/v1/flavors/small", headers={"If-Match": "*"}), 412, "object.changed")


def test_another_project_s_object_is_as_missing_as_ever(cloud, vm):
    stranger = cloud.client("user")
    expect(stranger.delete("/v1/vms/nothing", headers={"If-Match": STALE}), 412, "object.changed")
    expect(stranger.delete("/v1/vms/nothing"), 404, "vm.not_found")


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/vms"), ("POST", "/v1/flavors")])
def test_a_precondition_on_what_has_no_tag_is_refused(cloud, method, path):
    body = {"name": "n", "image": "mini", "flavor": "small"}
    if path.endswith("flavors"):
        body = {"name": "n", "vcpus": 1, "memory_mib": 64, "disk_gib": 1}
    expect(cloud.api.request(method, path, json=body, headers={"If-Match": STALE}), 422, "request.precondition")


def test_a_job_s_answer_has_no_tag(cloud):
    answer = cloud.create()
    assert "etag" not in cloud.api.get(f"/v1/jobs/{answer.json()['id']}").headers
    cloud.settle()


def test_what_a_host_is_seen_doing_is_no_change_of_its_definition(cloud):
    seen = cloud.api.get("/v1/hosts/host1").headers["ETag"]
    cloud.make_vm()
    cloud.change(Host.update(usage={"cpu_average": 0.5}, storage={"osds": 3, "osds_up": 2}))
    cloud.observe()
    assert cloud.api.get("/v1/hosts/host1").headers["ETag"] != seen
    assert cloud.api.patch("/v1/hosts/host1", json={"vcpus": 9}, headers={"If-Match": seen}).status_code == 200
    changed = cloud.api.patch("/v1/hosts/host1", json={"vcpus": 10}, headers={"If-Match": seen})
    expect(changed, 412, "object.changed")
