"""How far hosts are promised: the ratios of their groups, and what is said when less is left than is promised."""

import pytest

from service.db.tables import Audit, Host
from tests.api.folk import project
from tests.api.world import Cloud, expect


@pytest.fixture
def one(cloud) -> Cloud:
    """One host of 8 vCPUs and 8192 MiB gets VMs, and is in the group dense; flavors take 4 vCPUs, or 4 GiB."""
    cloud.api.patch("/v1/hosts/host2", json={"state": "cordoned"})
    cloud.created(cloud.api.post("/v1/host-groups", json={"name": "dense"}))
    cloud.api.put("/v1/host-groups/dense/hosts/host1")
    cloud.flavor("wide", vcpus=4, memory_mib=512)
    cloud.flavor("tall", vcpus=1, memory_mib=4096 - 64)
    return cloud


def patch(cloud, group: str = "dense", **body) -> dict:
    answer = cloud.api.patch(f"/v1/host-groups/{group}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def host(cloud, name: str = "host1") -> dict:
    return cloud.api.get(f"/v1/hosts/{name}").json()


def make(cloud, flavor: str, count: int, prefix: str = "vm") -> None:
    for number in range(count):
        cloud.make_vm(f"{prefix}-{number}", flavor=flavor)


def refusal(cloud, flavor: str) -> list[str]:
    cloud.observe()
    return expect(cloud.create("more", flavor=flavor), 409, "placement.no_host")["reasons"]["host1"]


def test_a_ratio_promises_more_vcpus_than_there_are(one):
    make(one, "wide", 2)
    assert refusal(one, "wide") == ["4 vCPU short (0 free)"]
    patch(one, vcpu_ratio=1.5)
    assert host(one)["usable"] == {"vcpus": 12, "memory_mib": 8192}
    make(one, "wide", 1, "third")
    assert refusal(one, "wide") == ["4 vCPU short (0 free)"]


def test_what_is_reserved_is_taken_off_before_the_ratio(one):
    one.api.patch("/v1/hosts/host1", json={"reserved_vcpus": 3})
    patch(one, vcpu_ratio=1.5)
    assert host(one)["usable"]["vcpus"] == 7  # 1.5 × 5, rounded down


def test_of_several_groups_the_lowest_ratio_counts_and_one_that_says_none_does_not(one):
    for name in ("other", "silent"):
        one.created(one.api.post("/v1/host-groups", json={"name": name}))
        one.api.put(f"/v1/host-groups/{name}/hosts/host1")
    patch(one, vcpu_ratio=4)
    assert host(one)["usable"]["vcpus"] == 32
    patch(one, "other", vcpu_ratio=2)
    assert host(one)["usable"]["vcpus"] == 16
    one.api.delete("/v1/host-groups/other/hosts/host1")
    assert host(one)["usable"]["vcpus"] == 32
    assert host(one, "host2")["usable"]["vcpus"] == 8


def test_without_a_group_the_setting_counts_and_null_goes_back_to_it(cloud_with):
    cloud = cloud_with(vcpu_ratio=2.0)
    assert host(cloud)["usable"]["vcpus"] == 16
    cloud.created(cloud.api.post("/v1/host-groups", json={"name": "dense"}))
    cloud.api.put("/v1/host-groups/dense/hosts/host1")
    patch(cloud, vcpu_ratio=1)
    assert host(cloud)["usable"]["vcpus"] == 8
    assert patch(cloud, vcpu_ratio=None)["vcpu_ratio"] is None
    assert host(cloud)["usable"]["vcpus"] == 16


def test_memory_is_promised_beyond_what_is_there_only_as_far_as_it_is_measured_to_be_saved(one):
    patch(one, memory_ratio=1.5)
    assert host(one)["usable"]["memory_mib"] == 8192
    make(one, "tall", 2)
    assert refusal(one, "tall") == ["4096 MiB of memory short (0 MiB free)"]
    one.change(Host.update(usage={"ksm_saved_mib": 4096}).where(Host.name == "host1"))
    assert host(one)["usable"]["memory_mib"] == 12288
    make(one, "tall", 1, "third")


def test_a_ratio_below_what_is_promised_is_allowed_and_said_and_nothing_new_comes(one):
    patch(one, vcpu_ratio=2)
    make(one, "wide", 4)
    assert host(one)["overcommitted_by"] is None
    assert patch(one, vcpu_ratio=1.25)["vcpu_ratio"] == 1.25
    assert host(one)["overcommitted_by"] == {"vcpus": 6, "memory_mib": 0}
    assert refusal(one, "small") == ["7 vCPU short (-6 free)"]
    assert one.vm("vm-0")["host"] == "host1"


def test_a_reservation_beyond_what_is_free_is_allowed_and_said(one):
    make(one, "tall", 1)
    told = one.api.patch("/v1/hosts/host1", json={"reserved_memory_mib": 5000}).json()
    assert told["overcommitted_by"] == {"vcpus": 0, "memory_mib": 904}
    assert refusal(one, "small") == ["1416 MiB of memory short (-904 MiB free)"]
    one.api.patch("/v1/hosts/host1", json={"reserved_memory_mib": 0})
    assert host(one)["overcommitted_by"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"vcpu_ratio": 0},
        {"vcpu_ratio": 65},
        {"memory_ratio": 4.1},
        {"vcpu_ratio": "2"},
        {"algorithm": ""},
        {"name": "x"},
    ],
)
def test_ratios_are_within_reason(one, body):
    expect(one.api.patch("/v1/host-groups/dense", json=body), 422, "request.invalid")


def test_a_change_of_a_group_is_audited_and_what_is_left_out_stays(one):
    patch(one, vcpu_ratio=2, description="all of them")
    changed = patch(one, memory_ratio=1.1)
    assert (changed["vcpu_ratio"], changed["memory_ratio"], changed["description"]) == (2.0, 1.1, "all of them")
    rows = [row for row in one.rows(Audit) if row.action == "update_host_group"]
    assert (rows[-1].before["memory_ratio_milli"], rows[-1].after["memory_ratio_milli"]) == (None, 1100)


def test_a_groups_algorithm_is_one_that_there_is(one):
    assert patch(one, algorithm="pack")["algorithm"] == "pack"
    refused = expect(
        one.api.patch("/v1/host-groups/dense", json={"algorithm": "best"}), 422, "placement.unknown_algorithm"
    )
    assert "storage_cpu" in refused["detail"]
    assert patch(one, algorithm=None)["algorithm"] is None


def test_nobody_names_a_program_to_run_over_the_api(one):
    asked = one.api.patch("/v1/host-groups/dense", json={"algorithm": "exec:/bin/true"})
    expect(asked, 422, "placement.unknown_algorithm")


def test_of_several_groups_of_a_project_the_first_by_name_that_has_an_algorithm_places_its_vms(one):
    project(one, "blue")
    one.api.patch("/v1/images/mini", json={"visibility": "public"})
    for name, algorithm in (("b-second", "spread"), ("a-silent", None), ("c-third", "round_robin")):
        one.created(one.api.post("/v1/host-groups", json={"name": name}))
        patch(one, name, algorithm=algorithm)
        one.api.put(f"/v1/host-groups/{name}/hosts/host1")
        one.api.put(f"/v1/projects/blue/host-groups/{name}")
    one.observe()
    in_blue = {
        "params": {"project": "blue", "dry_run": "true"},
        "json": {"name": "web", "image": image(one), "flavor": "small"},
    }
    assert one.api.post("/v1/vms", **in_blue).json()["placements"][0]["algorithm"] == "spread"
    patch(one, "b-second", algorithm=None)
    assert one.api.post("/v1/vms", **in_blue).json()["placements"][0]["algorithm"] == "round_robin"


def image(cloud) -> str:
    return cloud.api.get("/v1/images/mini").json()["id"]
