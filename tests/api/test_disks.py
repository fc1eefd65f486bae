"""Disks of VMs that run and that do not, and volumes on none."""

import pytest

from storage.refs import VolumeRef
from tests.api.disks import GIB, add_iso, disk, hardware, opened, stored, used
from tests.api.test_vms import off
from tests.api.world import BOOT, expect


def attach(cloud, **body):
    return cloud.api.post("/v1/vms/web/attach", json=body or {"size_gib": 2})


def detach(cloud, target="vdb", **body):
    return cloud.api.post("/v1/vms/web/detach", json={"disk": target, **body})


def grow(cloud, size_gib, target="vdb"):
    return cloud.api.post("/v1/vms/web/grow", json={"disk": target, "size_gib": size_gib})


def test_a_running_vm_gets_a_blank_disk_that_its_guest_sees(cloud):
    cloud.make_vm()
    before = used(cloud)
    job = cloud.done(attach(cloud))
    volume = disk(cloud, "vdb")
    assert (job["result"]["target"], volume["state"], volume["role"]) == ("vdb", "ready", "data")
    assert opened(hardware(cloud).disks["vdb"]) == VolumeRef(volume["pool"], volume["storage_name"])
    assert stored(cloud, volume) == volume["size_bytes"] == 2 * GIB
    assert used(cloud) == before | {"volumes": before["volumes"] + 1, "gib:vms": before["gib:vms"] + 2}
    cloud.assert_clean(vms=1)


def test_a_stopped_vm_gets_a_disk_that_it_starts_with(cloud):
    cloud.make_vm()
    off(cloud)
    cloud.done(attach(cloud, size_gib=1, bus="sata"))
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/start"))
    assert hardware(cloud).disks["sdb"].bus == "sata"
    cloud.assert_clean(vms=1)


def test_a_new_disk_from_an_image_is_its_clone_and_as_large_unless_told(cloud):
    cloud.make_vm()
    cloud.done(attach(cloud, image="mini"))
    cloud.done(attach(cloud, image="mini", size_gib=3))
    first, second = disk(cloud, "vdb"), disk(cloud, "vdc")
    assert (first["image"], stored(cloud, first), stored(cloud, second)) == ("mini", len(BOOT), 3 * GIB)
    cloud.assert_clean(vms=1)


def test_a_volume_is_made_attached_detached_and_deleted(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 1}))
    volume = cloud.api.get("/v1/volumes/data").json()
    assert (volume["state"], volume["vm"], volume["target"]) == ("ready", None, None)
    cloud.done(attach(cloud, volume="data", bus="scsi"))
    volume = cloud.api.get("/v1/volumes/data").json()
    assert (volume["vm"], volume["target"], volume["bus"]) == ("web", "sdb", "scsi")
    assert "sdb" in hardware(cloud).disks
    cloud.done(detach(cloud, "data"))
    assert cloud.api.get("/v1/volumes/data").json()["vm"] is None
    assert "sdb" not in hardware(cloud).disks
    cloud.done(cloud.api.delete("/v1/volumes/data"))
    expect(cloud.api.get("/v1/volumes/data"), 404, "volume.not_found")
    assert used(cloud)["volumes"] == 1
    cloud.assert_clean(vms=1)


def test_the_list_of_volumes_shows_data_volumes_and_filters_them(cloud):
    cloud.make_vm()
    cloud.done(attach(cloud, size_gib=1, name="on-web"))
    cloud.done(cloud.api.post("/v1/volumes", json={"name": "free", "size_gib": 1}))
    every = cloud.api.get("/v1/volumes").json()["items"]
    on_web = cloud.api.get("/v1/volumes", params={"vm": "web"}).json()["items"]
    assert [row["name"] for row in every] == ["free", "on-web"]
    assert [row["name"] for row in on_web] == ["on-web"]


def test_detach_with_delete_leaves_nothing_of_the_disk(cloud):
    cloud.make_vm()
    before = used(cloud)
    cloud.done(attach(cloud))
    cloud.done(detach(cloud, delete=True))
    assert disk(cloud, "vdb") is None
    assert used(cloud) == before
    cloud.assert_clean(vms=1)


def test_a_guest_that_does_not_let_go_keeps_its_disk_and_the_reason_is_told(cloud):
    vm = cloud.make_vm()
    cloud.done(attach(cloud))
    cloud.host(vm["host"]).guests_keep_disks = True
    job = cloud.ended(detach(cloud))
    assert (job["state"], job["error"]["code"]) == ("failed", "domain.detach_refused")
    assert disk(cloud, "vdb") is not None
    assert "vdb" in hardware(cloud).disks
    cloud.assert_clean(vms=1)


def test_a_detached_disk_of_a_stopped_vm_is_kept(cloud):
    cloud.make_vm()
    cloud.done(attach(cloud, size_gib=1, name="data"))
    off(cloud)
    cloud.done(detach(cloud))
    assert cloud.api.get("/v1/volumes/data").json()["vm"] is None
    cloud.assert_clean(vms=1)


def test_the_root_disk_is_not_detached(cloud):
    cloud.make_vm()
    expect(detach(cloud, "vda"), 409, "volume.is_root")
    off(cloud)
    expect(detach(cloud, "vda", delete=True), 409, "volume.is_root")
    cloud.assert_clean(vms=1)


def test_the_seed_is_no_disk_of_the_users(cloud):
    cloud.make_vm()
    expect(detach(cloud, "sda"), 409, "volume.is_seed")
    expect(grow(cloud, 9, "sda"), 409, "volume.is_seed")


@pytest.mark.parametrize("is_on", [True, False])
def test_disks_grow_running_and_stopped_root_too(cloud, is_on):
    cloud.make_vm()
    cloud.done(attach(cloud))
    if not is_on:
        off(cloud)
    cloud.done(grow(cloud, 5))
    cloud.done(grow(cloud, 4, "vda"))
    assert (stored(cloud, disk(cloud, "vdb")), stored(cloud, disk(cloud, "vda"))) == (5 * GIB, 4 * GIB)
    assert used(cloud)["gib:vms"] == 9
    if is_on:
        assert hardware(cloud).sizes_bytes == {"vdb": 5 * GIB, "vda": 4 * GIB}
    cloud.assert_clean(vms=1)


def test_a_volume_on_no_vm_grows(cloud):
    cloud.done(cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 1}))
    cloud.done(cloud.api.post("/v1/volumes/data/grow", json={"size_gib": 2}))
    assert cloud.api.get("/v1/volumes/data").json()["size_bytes"] == 2 * GIB
    cloud.assert_clean(vms=0)


def test_nothing_shrinks(cloud):
    cloud.make_vm()
    cloud.done(attach(cloud))
    cloud.done(cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 2}))
    expect(grow(cloud, 1), 422, "volume.shrink")
    expect(cloud.api.post("/v1/volumes/data/grow", json={"size_gib": 1}), 422, "volume.shrink")
    assert disk(cloud, "vdb")["size_bytes"] == 2 * GIB
    cloud.assert_clean(vms=1)


def test_growing_waits_for_a_silent_storage_and_then_ends(cloud):
    cloud.make_vm()
    answer = grow(cloud, 3, "vda")
    cloud.storage.set_reachable(False)
    cloud.run_due()
    assert cloud.job(answer)["state"] == "waiting"
    cloud.storage.set_reachable(True)
    cloud.settle()
    assert cloud.job(answer)["state"] == "succeeded"
    assert stored(cloud, disk(cloud, "vda")) == 3 * GIB


def test_a_cancelled_growing_gives_the_quota_back(cloud):
    cloud.make_vm()
    before = used(cloud)
    job = grow(cloud, 9, "vda").json()
    assert used(cloud)["gib:vms"] == before["gib:vms"] + 8
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    assert used(cloud) == before
    assert disk(cloud, "vda")["size_bytes"] == GIB
    cloud.assert_clean(vms=1)


def test_a_moved_vm_has_all_its_disks(cloud):
    home = cloud.make_vm()["host"]
    cloud.done(attach(cloud))
    cloud.done(attach(cloud, size_gib=1, bus="scsi"))
    cloud.done(cloud.api.post("/v1/vms/web/migrate"))
    assert cloud.vm()["host"] != home
    assert {"vda", "vdb", "sda", "sdb"} <= set(hardware(cloud).disks)
    cloud.done(detach(cloud))
    cloud.assert_clean(vms=1)


def test_a_deleted_vm_takes_its_disks_along_unless_they_are_to_be_kept(cloud):
    cloud.make_vm()
    cloud.done(attach(cloud, size_gib=1, name="kept"))
    cloud.done(cloud.api.delete("/v1/vms/web", params={"keep_disks": "true"}))
    assert cloud.api.get("/v1/volumes/kept").json()["vm"] is None
    cloud.assert_clean(vms=0)
    cloud.make_vm()
    cloud.done(attach(cloud, volume="kept"))
    cloud.done(cloud.api.delete("/v1/vms/web"))
    expect(cloud.api.get("/v1/volumes/kept"), 404, "volume.not_found")
    assert used(cloud) == {"gib:images": 1}
    cloud.assert_clean(vms=0)


def test_a_disk_that_the_hypervisor_refuses_is_undone(cloud):
    cloud.make_vm()
    before = used(cloud)

    def refuse(moment):
        if moment == "before attach_disk":
            hardware(cloud).disks["vdb"] = hardware(cloud).disks["vda"]

    cloud.hook = refuse
    job = cloud.ended(attach(cloud))
    assert (job["state"], job["error"]["code"]) == ("failed", "domain.refused")
    assert disk(cloud, "vdb") is None
    assert used(cloud) == before
    cloud.assert_clean(vms=1)


@pytest.mark.parametrize("bus", ["sata", "ide"])
def test_a_running_vm_takes_no_disk_on_a_bus_without_hot_plug(cloud, bus):
    cloud.make_vm()
    expect(attach(cloud, size_gib=1, bus=bus), 409, "disk.not_live")
    cloud.assert_clean(vms=1)


def test_a_stopped_vm_without_ide_takes_no_ide_disk(cloud):
    cloud.make_vm()
    off(cloud)
    expect(attach(cloud, size_gib=1, bus="ide"), 409, "disk.no_bus")


def test_a_bus_that_is_full_takes_no_more(cloud):
    cloud.make_vm(disks=[{"size_gib": 1, "bus": "sata"}] * 4)  # the seed has a letter too
    off(cloud)
    cloud.done(attach(cloud, size_gib=1, bus="sata"))
    expect(attach(cloud, size_gib=1, bus="sata"), 409, "disk.no_target")


def test_a_vm_has_at_most_so_many_disks(cloud):
    cloud.make_vm(disks=[{"size_gib": 1}] * 16)
    for _ in range(6):
        cloud.done(attach(cloud, size_gib=1, bus="scsi"))
    expect(attach(cloud, size_gib=1, bus="scsi"), 409, "disk.too_many")


def test_a_volume_is_on_one_vm_only(cloud):
    cloud.make_vm()
    cloud.make_vm("other")
    cloud.done(cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 1}))
    cloud.done(attach(cloud, volume="data"))
    expect(cloud.api.post("/v1/vms/other/attach", json={"volume": "data"}), 409, "volume.attached")
    expect(cloud.api.delete("/v1/volumes/data"), 409, "volume.attached")


def test_a_volume_that_a_job_is_at_work_on_is_busy(cloud):
    cloud.make_vm()
    cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 1})
    expect(attach(cloud, volume="data"), 409, "volume.busy")
    expect(cloud.api.delete("/v1/volumes/data"), 409, "volume.busy")
    cloud.settle()
    cloud.assert_clean(vms=1)


def test_a_volume_whose_deletion_stopped_half_way_is_not_attached(cloud):
    cloud.make_vm()
    cloud.done(cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 1}))
    job = cloud.api.delete("/v1/volumes/data").json()
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    cloud.done(attach(cloud, volume="data"))
    cloud.assert_clean(vms=1)


def test_two_volumes_of_one_name_are_one_too_many(cloud):
    cloud.done(cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 1}))
    expect(cloud.api.post("/v1/volumes", json={"name": "data", "size_gib": 1}), 409, "volume.name_taken")


def test_disks_that_are_not_there_are_not_found(cloud):
    cloud.make_vm()
    expect(detach(cloud, "vdz"), 404, "disk.not_found")
    expect(grow(cloud, 9, "no-volume"), 404, "disk.not_found")
    expect(attach(cloud, volume="nothing"), 404, "volume.not_found")
    root = disk(cloud, "vda")
    expect(cloud.api.delete(f"/v1/volumes/{root['id']}"), 404, "volume.not_found")


def test_what_is_no_pool_for_disks_is_refused(cloud):
    cloud.make_vm()
    for pool in ("nothing", "images"):
        expect(attach(cloud, size_gib=1, pool=pool), 422, "pool.not_found")
        expect(cloud.create("b", root={"pool": pool}), 422, "pool.not_found")
    cloud.assert_clean(vms=1)


def test_a_full_pool_takes_no_new_disk(cloud):
    cloud.make_vm()
    cloud.storage.set_full("vms", True)
    cloud.observe()
    expect(attach(cloud), 409, "pool.full")


def test_a_disk_smaller_than_its_image_is_refused(cloud, qcow2):
    cloud.make_vm()
    cloud.done(cloud.upload(qcow2(size="2G"), name="large", format="qcow2"))
    expect(attach(cloud, image="large", size_gib=1), 422, "volume.too_small")


def test_an_iso_is_no_disk_and_a_disk_is_no_iso(cloud):
    add_iso(cloud)
    cloud.make_vm()
    expect(attach(cloud, image="installer"), 422, "image.wrong_kind")
    expect(cloud.api.post("/v1/vms/web/insert", json={"image": "mini"}), 422, "image.wrong_kind")


@pytest.mark.parametrize(
    "body",
    [
        {"bus": "scsi"},
        {"volume": "data", "size_gib": 1},
        {"size_gib": 0},
        {"size_gib": -1},
        {"size_gib": 1.5},
        {"size_gib": True},
        {"size_gib": 1 << 40},
        {"size_gib": "9"},
        {"size_gib": 1, "bus": "floppy"},
        {"size_gib": 1, "name": "a/b"},
        {"size_gib": 1, "pool": "../vms"},
        {"size_gib": 1, "size": 1},
    ],
)
def test_a_disk_that_makes_no_sense_is_refused_and_nothing_is_left(cloud, body):
    cloud.make_vm()
    expect(cloud.api.post("/v1/vms/web/attach", json=body), 422, "request.invalid")
    cloud.assert_clean(vms=1)


def test_a_quota_holds_for_disks_and_what_is_refused_counts_for_nothing(cloud):
    cloud.make_vm()
    cloud.api.put("/v1/projects/default/quotas/gib:vms", json={"limit": 4})
    cloud.done(attach(cloud, size_gib=2))
    before = used(cloud)
    expect(attach(cloud, size_gib=2), 409, "quota.exceeded")
    expect(grow(cloud, 4), 409, "quota.exceeded")
    assert used(cloud) == before
    cloud.done(grow(cloud, 3))
    cloud.assert_clean(vms=1)
