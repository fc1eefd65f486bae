"""What a VM may be asked to be."""

import io

import pycdlib
import pytest
import yaml

from service.operations.vms import create_vm
from storage.refs import HostRef
from tests.api.disks import GIB, add_iso, disk, hardware, opened, stored, used
from tests.api.world import BOOT, KEY, expect


def seed_file(cloud, file, name="web") -> bytes:
    """One file of the VM's seed."""
    volume = next(volume for volume in cloud.vm(name)["volumes"] if volume["role"] == "seed")
    ref = create_vm.volume_rows.VolumeRef(volume["pool"], volume["storage_name"])
    seed, out = pycdlib.PyCdlib(), io.BytesIO()
    seed.open_fp(io.BytesIO(cloud.storage.read(ref, offset=0, length=volume["size_bytes"])))
    seed.get_file_from_iso_fp(out, rr_path=f"/{file}")
    return out.getvalue()


def test_a_vm_without_a_seed_is_exactly_one_clone(cloud):
    calls = []
    cloud.hook = calls.append
    cloud.done(cloud.create(cloud_init=False, ssh_keys=[]))
    made = [call for call in calls if call in ("after clone", "after create_volume", "after write")]
    assert made == ["after clone"]
    vm = cloud.vm()
    assert ([volume["role"] for volume in vm["volumes"]], vm["user"]) == (["root"], None)
    cloud.assert_clean(vms=1)


def test_an_image_that_reads_no_cloud_init_gets_no_seed_unless_there_is_something_to_tell(cloud):
    cloud.done(cloud.upload(BOOT, name="plain", format="raw", default_user=None))
    cloud.make_vm("quiet", image="plain", ssh_keys=[])
    cloud.make_vm("told", image="plain", ssh_keys=[KEY])
    assert [len(cloud.vm(name)["volumes"]) for name in ("quiet", "told")] == [1, 2]
    assert cloud.vm("told")["user"] == "nacre"


def test_a_vm_has_the_root_size_and_the_extra_disks_that_were_asked_for(cloud):
    disks = [{"size_gib": 2}, {"image": "mini", "bus": "scsi"}, {"size_gib": 1, "bus": "sata", "name": "logs"}]
    cloud.make_vm(root={"size_gib": 3}, disks=disks)
    assert stored(cloud, disk(cloud, "vda")) == 3 * GIB
    assert (stored(cloud, disk(cloud, "vdb")), disk(cloud, "vdb")["name"]) == (2 * GIB, "web-data-1")
    assert (disk(cloud, "sdb")["image"], stored(cloud, disk(cloud, "sdb"))) == ("mini", len(BOOT))
    assert (disk(cloud, "sdc")["name"], disk(cloud, "sdc")["state"]) == ("logs", "ready")
    assert used(cloud)["volumes"] == 4
    cloud.assert_clean(vms=1)


def test_a_vm_boots_from_an_iso_onto_a_blank_disk(cloud):
    image = add_iso(cloud)
    cloud.make_vm(image=None, cdroms=[{"image": "installer"}], ssh_keys=[])
    disks = hardware(cloud).disks
    assert (disk(cloud, "vda")["image"], stored(cloud, disk(cloud, "vda"))) == (None, GIB)
    medium = cloud.storage.volume(opened(disks["sda"]))
    assert (medium.parent.name, disks["sda"].device, disks["sda"].bus) == (f"image-{image['id']}", "cdrom", "sata")
    # The disk is tried first: blank, it is passed over; once installed, it boots.
    assert (disks["vda"].boot_order, disks["sda"].boot_order) == (1, 2)
    assert cloud.vm()["cdroms"] == [{"target": "sda", "bus": "sata", "image": "installer"}]
    cloud.assert_clean(vms=1)


def test_the_boot_order_is_as_asked(cloud):
    cloud.make_vm(boot=["network", "disk"], cdroms=[{}])
    spec = hardware(cloud).spec
    orders = {entry.target: entry.boot_order for entry in spec.disks}
    assert (spec.nics[0].boot_order, orders["vda"], orders["sdb"], orders["sda"]) == (1, 2, None, None)


def test_an_old_system_gets_old_hardware(cloud):
    cloud.make_vm(
        root={"bus": "ide"}, nic_model="rtl8139", video="cirrus", clock="localtime", chipset="pc", cdroms=[{}]
    )
    spec = hardware(cloud).spec
    assert (spec.chipset, spec.clock, spec.video, spec.nics[0].model) == ("pc", "localtime", "cirrus", "rtl8139")
    assert {entry.target: entry.bus for entry in spec.disks} == {"hda": "ide", "hdb": "ide", "sda": "scsi"}


def test_a_uefi_vm_has_variables_of_its_own_that_begin_as_the_firmwares(cloud, tmp_path, monkeypatch):
    variables = tmp_path / "OVMF_VARS.fd"
    variables.write_bytes(b"variables" * 1000)
    monkeypatch.setattr(create_vm, "UEFI_VARIABLES", str(variables))
    cloud.make_vm(firmware="uefi")
    nvram = next(volume for volume in cloud.vm()["volumes"] if volume["role"] == "nvram")
    ref = create_vm.volume_rows.VolumeRef(nvram["pool"], nvram["storage_name"])
    assert hardware(cloud).spec.nvram == cloud.storage.attachment(ref, HostRef("any"))
    assert cloud.storage.read(ref, offset=0, length=9000) == variables.read_bytes()
    assert used(cloud)["volumes"] == 1
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.assert_clean(vms=0)


def test_uefi_where_the_firmware_is_not_installed_is_refused(cloud, monkeypatch):
    monkeypatch.setattr(create_vm, "UEFI_VARIABLES", "/nowhere/OVMF_VARS.fd")
    expect(cloud.create(firmware="uefi"), 422, "vm.no_uefi")


def test_user_data_is_handed_on_as_it_is_and_never_shown(cloud):
    text = "#!/bin/sh\necho s3cret > /root/token\n"
    cloud.make_vm(user_data=text)
    assert seed_file(cloud, "user-data") == text.encode()
    assert yaml.safe_load(seed_file(cloud, "vendor-data"))["users"][0]["ssh_authorized_keys"] == [KEY]
    for path in ("/v1/vms/web", "/v1/vms", "/v1/jobs", "/v1/audit"):
        assert "s3cret" not in cloud.api.get(path).text


def test_tags_and_description_are_kept_and_changed(cloud):
    vm = cloud.make_vm(tags=["web", "env=prod", "web"], description="the shop")
    assert (vm["tags"], vm["description"]) == (["env=prod", "web"], "the shop")
    edited = cloud.api.patch("/v1/vms/web", json={"tags": [], "boot": ["cdrom", "disk"]}).json()
    assert (edited["tags"], edited["description"], edited["boot"]) == ([], "the shop", ["cdrom", "disk"])


def test_a_vm_that_is_made_stopped_holds_disks_and_quota_but_no_host(cloud):
    cloud.make_vm(start="stopped")
    vm = cloud.vm()
    assert (vm["desired_state"], vm["observed_state"], vm["host"]) == ("stopped", "stopped", None)
    assert used(cloud)["vms"] == 1
    assert stored(cloud, disk(cloud, "vda")) == GIB
    cloud.assert_clean(vms=1)
    cloud.observe()
    cloud.done(cloud.api.post("/v1/vms/web/start"))
    cloud.assert_clean(vms=1)


def test_a_stopped_vm_keeps_its_quota_and_gives_back_its_host(cloud):
    cloud.make_vm()
    before = used(cloud)
    cloud.done(cloud.api.post("/v1/vms/web/force-off"))
    assert used(cloud) == before
    assert all(host["allocated"]["vms"] == 0 for host in cloud.api.get("/v1/hosts").json()["items"])
    cloud.assert_clean(vms=1)


def test_a_vm_starts_paused_and_is_resumed_and_paused(cloud):
    vm = cloud.make_vm(start="paused")
    assert (vm["desired_state"], vm["observed_state"]) == ("paused", "paused")
    cloud.observe()
    assert cloud.vm()["observed_state"] == "paused"
    expect(cloud.api.post("/v1/vms/web/migrate"), 409, "vm.paused")
    expect(cloud.api.post("/v1/vms/web/shut-down"), 409, "vm.paused")
    cloud.done(cloud.api.post("/v1/vms/web/resume"))
    assert cloud.host(vm["host"]).domains[vm["id"]].state == "running"
    cloud.done(cloud.api.post("/v1/vms/web/pause"))
    assert (cloud.vm()["desired_state"], cloud.vm()["observed_state"]) == ("paused", "paused")
    cloud.assert_clean(vms=1)


def test_a_paused_vm_that_is_lost_is_started_again_paused(cloud):
    vm = cloud.make_vm(start="paused")
    cloud.hosts.end_domain(vm["host"], vm["id"], "crashed")
    cloud.observe()
    cloud.round("restore_vms")
    cloud.settle()
    assert (cloud.vm()["desired_state"], cloud.vm()["observed_state"]) == ("paused", "paused")
    cloud.assert_clean(vms=1)


def batch(cloud, count, name="web", **more):
    body = {"name": name, "image": "mini", "flavor": "small", "ssh_keys": [KEY], "count": count}
    return cloud.api.post("/v1/vm-batches", json=body | more)


def test_a_batch_is_so_many_vms_spread_over_the_hosts(cloud):
    answer = batch(cloud, 4)
    assert (answer.status_code, len(answer.json()["items"])) == (202, 4)
    cloud.settle()
    vms = [cloud.vm(f"web-{number}") for number in range(1, 5)]
    assert {vm["observed_state"] for vm in vms} == {"running"}
    assert {vm["host"] for vm in vms} == {"host1", "host2"}
    cloud.assert_clean(vms=4)


def test_a_batch_that_does_not_fit_as_a_whole_leaves_nothing(cloud):
    cloud.flavor("half", vcpus=3)
    before = used(cloud)
    document = expect(batch(cloud, 5, flavor="half"), 409, "placement.no_host")
    assert set(document["reasons"]) == {"host1", "host2"}
    assert used(cloud) == before
    cloud.assert_clean(vms=0)


def test_of_a_batch_as_many_are_made_as_find_a_host(cloud):
    cloud.flavor("half", vcpus=3)
    told = batch(cloud, 9, flavor="half", fit="most").json()
    assert len(told["items"]) == 4, "two of 3 vCPUs on each host of 8"
    assert "No host can take VM 'web-5'" in told["why_not_all"]
    assert told["reasons"] == {host: ["1 vCPU short (2 free)"] for host in ("host1", "host2")}
    cloud.settle()
    assert {cloud.vm(f"web-{number}")["observed_state"] for number in range(1, 5)} == {"running"}
    cloud.assert_clean(vms=4)
    expect(batch(cloud, 2, name="more", flavor="half", fit="most"), 409, "placement.no_host")
    assert batch(cloud, 2, name="small").json()["why_not_all"] is None, "what was taken back is forgotten"


def test_a_batch_of_ten_thousand_is_refused(cloud):
    expect(batch(cloud, 10_000), 422, "request.invalid")
    cloud.assert_clean(vms=0)


def test_a_batch_beyond_the_quota_leaves_nothing(cloud):
    cloud.api.put("/v1/projects/default/quotas/vms", json={"limit": 2})
    expect(batch(cloud, 3), 409, "quota.exceeded")
    cloud.assert_clean(vms=0)


def test_a_batch_whose_names_would_be_too_long_or_are_taken_is_refused(cloud):
    expect(batch(cloud, 10, name="a" * 61), 422, "request.invalid")
    cloud.make_vm("web-2")
    expect(batch(cloud, 3), 409, "vm.name_taken")
    cloud.assert_clean(vms=1)


@pytest.mark.parametrize(
    "more",
    [
        {"root": {"bus": "ide"}},
        {"cdroms": [{"bus": "ide"}]},
        {"cdroms": [{"bus": "virtio"}]},
        {"cloud_init": False},  # and ssh keys
        {"boot": []},
        {"boot": ["disk", "disk"]},
        {"boot": ["floppy"]},
        {"disks": [{}]},
        {"disks": [{"size_gib": 1}] * 17},
        {"user_data": "x" * 65537},
        {"user_data": "a\u0000b"},
        {"tags": ["a b"]},
        {"tags": ["x" * 64]},
        {"description": "\u202e"},
        {"description": "a\u0000"},
        {"firmware": "coreboot"},
        {"nic_model": "ne2k"},
        {"start": "later"},
        {"count": 2},
    ],
)
def test_a_vm_that_makes_no_sense_is_refused_and_nothing_is_left(cloud, more):
    document = expect(cloud.create(**more), 422, "request.invalid")
    assert document["errors"]
    cloud.assert_clean(vms=0)


def test_a_root_disk_that_is_too_small_is_refused(cloud, qcow2):
    cloud.done(cloud.upload(qcow2(size="2G"), name="large", format="qcow2"))
    expect(cloud.create(image="large"), 422, "flavor.disk_too_small")
    expect(cloud.create(image="large", root={"size_gib": 1}), 422, "volume.too_small")
    cloud.make_vm(image="large", root={"size_gib": 2})
    cloud.assert_clean(vms=1)


def test_a_rename_is_a_new_name_for_the_same_vm(cloud):
    vm = cloud.make_vm()
    cloud.make_vm("taken")
    expect(cloud.api.post("/v1/vms/web/rename", json={"name": "taken"}), 409, "vm.name_taken")
    job = cloud.done(cloud.api.post("/v1/vms/web/rename", json={"name": "shop"}))
    assert job["result"]["hostname"] == "unchanged inside the guest"
    expect(cloud.api.get("/v1/vms/web"), 404, "vm.not_found")
    assert cloud.vm("shop")["id"] == vm["id"]
    assert cloud.host(vm["host"]).domains[vm["id"]].name == "shop"
    cloud.make_vm("web")
    cloud.assert_clean(vms=3)


def test_a_rename_that_is_cancelled_is_undone_unless_the_old_name_is_gone(cloud):
    cloud.make_vm()
    job = cloud.api.post("/v1/vms/web/rename", json={"name": "shop"}).json()
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    assert cloud.vm("web")["observed_state"] == "running"
    job = cloud.api.post("/v1/vms/web/rename", json={"name": "shop"}).json()
    cloud.create("web")
    cloud.api.delete(f"/v1/jobs/{job['id']}")
    cloud.settle()
    assert {cloud.vm(name)["observed_state"] for name in ("web", "shop")} == {"running"}
    cloud.assert_clean(vms=2)
