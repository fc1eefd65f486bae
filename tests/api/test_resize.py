"""Another flavor: at once where it can be, else at the next start, and every promise exact all the while."""

import pytest

from tests.api.disks import used
from tests.api.test_vms import off
from tests.api.world import expect

ROOM = {"max_vcpus": 4, "max_memory_mib": 2048}


@pytest.fixture
def roomy(cloud):
    """A VM of 1 vCPU and 512 MiB that may grow to 4 and 2048 while it runs."""
    cloud.flavor("roomy", vcpus=1, memory_mib=512, **ROOM)
    cloud.make_vm(flavor="roomy")
    return cloud


def resize(cloud, flavor):
    return cloud.api.post("/v1/vms/web/resize", json={"flavor": flavor})


def size(cloud) -> tuple[int, int]:
    vm = cloud.vm()
    return vm["vcpus"], vm["memory_mib"]


def guest(cloud) -> tuple[int, int]:
    """What the domain has."""
    vm = cloud.vm()
    domain = cloud.host(vm["host"]).domains[vm["id"]]
    return domain.vcpus, domain.memory_mib


def promised(cloud) -> tuple[int, int]:
    """What all hosts have promised, without QEMU's own memory."""
    hosts = [host["allocated"] for host in cloud.api.get("/v1/hosts").json()["items"]]
    vms = sum(host["vms"] for host in hosts)
    return sum(host["vcpus"] for host in hosts), sum(host["memory_mib"] for host in hosts) - 64 * vms


def test_a_running_vm_grows_under_its_ceiling_at_once(roomy):
    roomy.flavor("large", vcpus=2, memory_mib=1024, **ROOM)
    job = roomy.done(resize(roomy, "large"))
    assert job["result"] == {"flavor": "large", "pending": None, "reasons": []}
    assert size(roomy) == guest(roomy) == promised(roomy) == (2, 1024)
    assert (used(roomy)["vcpus"], used(roomy)["memory_mib"]) == (2, 1024)
    assert roomy.vm()["flavor"] == "large"
    roomy.assert_clean(vms=1)


def test_a_vm_that_grew_moves_and_starts_with_its_new_size(roomy):
    roomy.flavor("large", vcpus=2, memory_mib=1024, **ROOM)
    roomy.done(resize(roomy, "large"))
    roomy.observe()
    roomy.done(roomy.api.post("/v1/vms/web/migrate"))
    assert size(roomy) == guest(roomy) == promised(roomy) == (2, 1024)
    off(roomy)
    assert promised(roomy) == (0, 0)
    roomy.observe()
    roomy.done(roomy.api.post("/v1/vms/web/start"))
    assert size(roomy) == guest(roomy) == promised(roomy) == (2, 1024)
    roomy.assert_clean(vms=1)


def test_a_stopped_vm_is_of_its_new_size_at_once(roomy):
    roomy.flavor("tiny", vcpus=1, memory_mib=128)
    off(roomy)
    job = roomy.done(resize(roomy, "tiny"))
    assert job["result"]["pending"] is None
    assert (size(roomy), used(roomy)["memory_mib"]) == ((1, 128), 128)
    roomy.assert_clean(vms=1)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"vcpus": 1, "memory_mib": 256}, "cannot be made smaller"),
        ({"vcpus": 5, "memory_mib": 512}, "at most 4 vCPUs"),
        ({"vcpus": 1, "memory_mib": 4096}, "at most 2048 MiB"),
        ({"vcpus": 1, "memory_mib": 600}, "steps of 128 MiB"),
    ],
)
def test_what_cannot_be_now_comes_at_the_next_start_and_that_is_said(roomy, more, reason):
    roomy.flavor("other", **more)
    before = used(roomy)
    job = roomy.done(resize(roomy, "other"))
    assert any(reason in told for told in job["result"]["reasons"])
    assert size(roomy) == guest(roomy) == promised(roomy) == (1, 512)
    assert {key: roomy.vm()["pending"].get(key) or before[key] for key in more} == more
    # Quota counts the larger of now and then: the next start is never refused for it.
    assert used(roomy)["memory_mib"] == max(512, more["memory_mib"])
    off(roomy)
    roomy.observe()
    roomy.done(roomy.api.post("/v1/vms/web/start"))
    assert size(roomy) == guest(roomy) == promised(roomy) == (more["vcpus"], more["memory_mib"])
    assert (roomy.vm()["pending"], used(roomy)["memory_mib"]) == (None, more["memory_mib"])
    roomy.assert_clean(vms=1)


def test_higher_ceilings_alone_wait_for_the_next_start(roomy):
    roomy.flavor("sky", vcpus=2, memory_mib=512, max_vcpus=8, max_memory_mib=4096)
    job = roomy.done(resize(roomy, "sky"))
    assert job["result"]["pending"] == {"max_vcpus": 8, "max_memory_mib": 4096}
    assert size(roomy) == guest(roomy) == (2, 512)


def test_a_host_without_room_leaves_it_to_the_next_start(cloud):
    cloud.flavor("roomy", vcpus=1, memory_mib=512, max_vcpus=8)
    home = cloud.make_vm(flavor="roomy")["host"]
    cloud.flavor("five", vcpus=5)
    while not (others := [row for row in cloud.api.get("/v1/vms").json()["items"] if row["host"] == home][1:]):
        cloud.make_vm(f"other-{len(cloud.api.get('/v1/vms').json()['items'])}", flavor="five")
    assert others
    cloud.flavor("wide", vcpus=4, memory_mib=512, max_vcpus=8)
    job = cloud.done(resize(cloud, "wide"))
    assert f"host {home} has 2 vCPUs free" in job["result"]["reasons"]
    assert guest(cloud) == (1, 512)
    cloud.assert_clean()


def test_a_guest_that_refuses_has_its_new_size_at_the_next_start(roomy):
    roomy.flavor("large", vcpus=2, memory_mib=1024, **ROOM)
    host = roomy.host(roomy.vm()["host"])
    host.guests_keep_size = True
    job = roomy.done(resize(roomy, "large"))
    assert job["result"]["pending"] == {"vcpus": 2, "memory_mib": 1024}
    assert job["result"]["reasons"]
    assert size(roomy) == guest(roomy) == promised(roomy) == (1, 512)
    host.guests_keep_size = False
    roomy.assert_clean(vms=1)


def test_a_quota_holds_and_what_is_refused_changes_nothing(roomy):
    roomy.flavor("large", vcpus=2, memory_mib=1024, **ROOM)
    roomy.api.put("/v1/projects/default/quotas/memory_mib", json={"limit": 1000})
    before = used(roomy)
    expect(resize(roomy, "large"), 409, "quota.exceeded")
    assert (used(roomy), size(roomy), roomy.vm()["flavor"]) == (before, (1, 512), "roomy")
    roomy.assert_clean(vms=1)


def test_a_cancelled_resize_leaves_every_promise_as_it_was(roomy):
    roomy.flavor("large", vcpus=2, memory_mib=1024, **ROOM)
    before = used(roomy), promised(roomy), roomy.vm()["flavor"]
    job = resize(roomy, "large").json()
    roomy.api.delete(f"/v1/jobs/{job['id']}")
    roomy.settle()
    assert (used(roomy), promised(roomy), roomy.vm()["flavor"]) == before
    assert size(roomy) == guest(roomy) == (1, 512)
    roomy.assert_clean(vms=1)


def test_a_resize_to_the_same_flavor_changes_nothing(roomy):
    before = used(roomy), promised(roomy), size(roomy)
    roomy.done(resize(roomy, "roomy"))
    assert (used(roomy), promised(roomy), size(roomy)) == before


def test_a_flavor_that_is_not_there_is_told_by_its_field(roomy):
    document = expect(resize(roomy, "nothing"), 422, "flavor.not_found")
    assert document["errors"][0]["field"] == "flavor"
