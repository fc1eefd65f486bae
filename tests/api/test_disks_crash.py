"""A worker that dies at any moment of what is done to disks and sizes: each ends once or not at all."""

from tests.api.disks import GIB, add_iso, disk, hardware, stored, used
from tests.api.test_crash import deaths, mortal
from tests.api.test_vms import off

__all__ = ["mortal"]


def verb(cloud, path, /, **body):
    return cloud.api.post(f"/v1/vms/web/{path}", json=body)


def test_a_disk_is_attached_and_detached_once_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    before = used(cloud)
    moments = mortal.moments(verb(cloud, "attach", size_gib=1))
    cloud.done(verb(cloud, "detach", disk="vdb", delete=True))
    assert moments > 10
    for at, same in deaths(moments):
        assert mortal.die(verb(cloud, "attach", size_gib=1), at, same=same) == "succeeded", at
        assert (disk(cloud, "vdb")["state"], "vdb" in hardware(cloud).disks) == ("ready", True)
        cloud.assert_clean(vms=1)
        assert mortal.die(verb(cloud, "detach", disk="vdb", delete=True), at, same=same) == "succeeded", at
        assert used(cloud) == before
        cloud.assert_clean(vms=1)


def test_an_attach_that_is_refused_is_undone_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    before = used(cloud)
    hardware(cloud).disks["vdb"] = hardware(cloud).disks["vda"]  # the place is taken on the host
    moments = mortal.moments(verb(cloud, "attach", size_gib=1))
    for at, same in deaths(moments, 3):
        hardware(cloud).disks["vdb"] = hardware(cloud).disks["vda"]
        assert mortal.die(verb(cloud, "attach", size_gib=1), at, same=same) == "failed", at
        assert used(cloud) == before
        cloud.assert_clean(vms=1)


def test_a_cancelled_attach_or_detach_is_done_or_undone_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    moments = mortal.moments(verb(cloud, "attach", size_gib=1, name="data"))
    for at in range(1, moments, 3):
        answer = verb(cloud, "detach", disk="data")
        mortal.doom.countdown, mortal.doom.passed = [at], 0
        mortal.work("w0")
        mortal.doom.countdown = []
        cloud.api.delete(f"/v1/jobs/{answer.json()['id']}")
        state = mortal.die(answer, [2], same=True)
        is_on = cloud.api.get("/v1/volumes/data").json()["vm"] == "web"
        assert is_on == (state == "cancelled"), at
        assert is_on == ("vdb" in hardware(cloud).disks), at
        cloud.assert_clean(vms=1)
        if not is_on:
            cloud.done(verb(cloud, "attach", volume="data"))


def test_a_disk_grows_once_whatever_dies(mortal):
    cloud = mortal.cloud
    cloud.make_vm()
    moments = mortal.moments(verb(cloud, "grow", disk="vda", size_gib=2))
    for size, (at, same) in enumerate(deaths(moments), 3):
        assert mortal.die(verb(cloud, "grow", disk="vda", size_gib=size), at, same=same) == "succeeded", at
        assert disk(cloud, "vda")["size_bytes"] == stored(cloud, disk(cloud, "vda")) == size * GIB
        assert hardware(cloud).sizes_bytes["vda"] == size * GIB
        assert used(cloud)["gib:vms"] == size
        cloud.assert_clean(vms=1)


def test_a_medium_and_a_name_are_changed_once_whatever_dies(mortal):
    cloud = mortal.cloud
    add_iso(cloud)
    cloud.make_vm(cdroms=[{}])
    moments = mortal.moments(verb(cloud, "insert", image="installer"))
    for at, same in deaths(moments, 2):
        assert mortal.die(verb(cloud, "eject"), at, same=same) == "succeeded", at
        assert hardware(cloud).disks["sdb"].source is None
        assert mortal.die(verb(cloud, "insert", image="installer"), at, same=same) == "succeeded", at
        assert hardware(cloud).disks["sdb"].source is not None
        assert mortal.die(verb(cloud, "rename", name="shop"), at, same=same) == "succeeded", at
        assert mortal.die(cloud.api.post("/v1/vms/shop/rename", json={"name": "web"}), at, same=same) == "succeeded"
        cloud.assert_clean(vms=1)


def test_a_vm_is_resized_once_whatever_dies(mortal):
    cloud = mortal.cloud
    ceiling = {"max_vcpus": 64, "max_memory_mib": 8192}
    cloud.flavor("size-1", vcpus=1, memory_mib=256, **ceiling)
    cloud.add_host("large", vcpus=64, memory_mib=1 << 16)
    cloud.make_vm(flavor="size-1")
    cloud.flavor("size-2", vcpus=2, memory_mib=384, **ceiling)
    moments = mortal.moments(verb(cloud, "resize", flavor="size-2"))
    for number, (at, same) in enumerate(deaths(moments, 2), 3):
        cloud.flavor(f"size-{number}", vcpus=number, memory_mib=128 * (number + 1), **ceiling)
        assert mortal.die(verb(cloud, "resize", flavor=f"size-{number}"), at, same=same) == "succeeded", at
        vm = cloud.vm()
        domain = cloud.host(vm["host"]).domains[vm["id"]]
        assert (vm["vcpus"], vm["memory_mib"]) == (domain.vcpus, domain.memory_mib)
        assert vm["vcpus"] == number or vm["pending"]["vcpus"] == number
        assert used(cloud)["vcpus"] == number
        cloud.assert_clean(vms=1)


def test_a_cancelled_resize_tells_what_the_guest_has_whatever_dies(mortal):
    cloud = mortal.cloud
    ceiling = {"max_vcpus": 8, "max_memory_mib": 8192}
    cloud.flavor("one", vcpus=1, memory_mib=256, **ceiling)
    cloud.flavor("two", vcpus=2, memory_mib=512, **ceiling)
    for at in range(1, 12):
        cloud.make_vm(flavor="one")
        answer = verb(cloud, "resize", flavor="two")
        mortal.doom.countdown, mortal.doom.passed = [at], 0
        mortal.work("w0")
        mortal.doom.countdown = []
        cloud.api.delete(f"/v1/jobs/{answer.json()['id']}")
        mortal.die(answer, [2], same=True)
        vm = cloud.vm()
        domain = cloud.host(vm["host"]).domains[vm["id"]]
        assert (vm["vcpus"], vm["memory_mib"]) == (domain.vcpus, domain.memory_mib), at
        used(cloud)
        cloud.assert_clean(vms=1)
        cloud.done(cloud.api.delete("/v1/vms/web"))


def test_a_vm_of_many_parts_is_made_and_deleted_once_whatever_dies(mortal):
    cloud = mortal.cloud
    parts = {"disks": [{"size_gib": 1}, {"image": "mini", "bus": "scsi"}], "cdroms": [{}]}
    moments = mortal.moments(cloud.create(**parts))
    off(cloud)
    cloud.done(cloud.api.delete("/v1/vms/web"))
    for at, same in deaths(moments, 3):
        assert mortal.die(cloud.create(**parts), at, same=same) == "succeeded", at
        assert {volume["state"] for volume in cloud.vm()["volumes"]} == {"ready"}
        cloud.assert_clean(vms=1)
        assert mortal.die(cloud.api.delete("/v1/vms/web"), at, same=same) == "succeeded", at
        assert used(cloud) == {"gib:images": 1}
        cloud.assert_clean(vms=0)
