"""VMs that somebody else started: taken in, looked at, taken over."""

import dataclasses
import uuid
from contextlib import ExitStack

import pytest

from service.db import quotas
from service.db.engine.database import unit_of_work
from service.db.tables import Image, Vm
from service.hypervisor.contract import DomainState
from service.hypervisor.foreign import ForeignDisk, ForeignDomain, ForeignNic
from storage.refs import VolumeRef
from tests.api.world import MIB, expect

DISK = VolumeRef("vms", "old-disk")
VM_ID = "6a2c1f7e-52a5-4a57-9a63-0f6a2a7d1b11"
DOMAIN = ForeignDomain(
    vm_id=VM_ID,
    name="theirs",
    vcpus=1,
    max_vcpus=1,
    memory_mib=448,
    max_memory_mib=448,
    virt_type="qemu",
    machine="pc-q35-7.2",
    clock="utc",
    disks=(ForeignDisk("vda", "virtio", "disk", DISK), ForeignDisk("sda", "sata", "cdrom", None)),
    nics=(ForeignNic("52:54:00:aa:bb:cc", "br-guest", "virtio"),),
    hindrances=(),
)
ORDER = {"host": "host1", "domain": VM_ID, "name": "web", "addresses": {"52:54:00:AA:BB:CC": "10.2.0.77"}}


def theirs(cloud, **more):
    """A domain of somebody else's on host1, and its disk."""
    host = cloud.host("host1")
    domain = dataclasses.replace(DOMAIN, **more)
    host.domains[VM_ID] = DomainState(VM_ID, domain.name, "running", 1, 448, 0.0, None, None)
    host.foreign[VM_ID] = domain
    cloud.storage.create_volume(DISK, size_bytes=8 * MIB, job_id="theirs")
    cloud.opened = ExitStack()  # by QEMU on that host, until a test closes it
    cloud.opened.enter_context(cloud.storage.hold(DISK))
    cloud.observe()
    return host


def adopt(cloud, **more):
    return cloud.api.post("/v1/adoptions", json=ORDER | more)


def test_an_adopted_vm_is_shown_with_its_disks_and_counts_for_its_project(cloud):
    theirs(cloud)
    cloud.done(adopt(cloud))
    vm = cloud.vm("web")
    assert (vm["id"], vm["host"], vm["managed"], vm["address"]) == (VM_ID, "host1", False, "10.2.0.77")
    assert [(volume["storage_name"], volume["size_bytes"]) for volume in vm["volumes"]] == [("old-disk", 8 * MIB)]
    with unit_of_work(cloud.db):
        project = Vm.get().project_id
        used = {row.resource: row.used for row in quotas.Quota.select().where(quotas.Quota.project == project)}
        assert {name: count for name, count in used.items() if count} == dict(quotas.recounted(project))
    cloud.observe()
    cloud.assert_clean(vms=1)


@pytest.mark.parametrize("verb", ["start", "shut-down", "force-off", "reset", "migrate"])
def test_an_adopted_vm_is_not_touched_until_it_is_confirmed(cloud, verb):
    theirs(cloud)
    cloud.done(adopt(cloud))
    expect(cloud.api.post(f"/v1/vms/web/{verb}", json={}), 409, "vm.read_only")
    expect(cloud.api.delete("/v1/vms/web"), 409, "vm.read_only")


def test_an_adopted_vm_that_ends_is_not_started_again(cloud):
    host = theirs(cloud)
    cloud.done(adopt(cloud))
    del host.domains[VM_ID]
    cloud.observe()
    cloud.round("restore_vms")
    cloud.settle()
    assert cloud.vm("web")["observed_state"] == "stopped"
    assert not cloud.domains()


def test_a_confirmed_vm_is_one_like_the_others(cloud):
    host = theirs(cloud)
    cloud.done(adopt(cloud))
    cloud.done(cloud.api.post("/v1/vms/web/confirm", json={}))
    assert cloud.vm("web")["managed"]
    assert host.domains[VM_ID].epoch == 1
    cloud.observe()
    assert cloud.api.get("/v1/hosts/host1").json()["problem"] is None
    cloud.done(cloud.api.post("/v1/vms/web/migrate", json={"host": "host2"}))
    assert cloud.vm("web")["host"] == "host2"
    cloud.opened.close()
    expect(cloud.api.post("/v1/vms/web/confirm", json={}), 409, "vm.not_adopted")
    cloud.done(cloud.api.delete("/v1/vms/web"))
    cloud.assert_clean(vms=0)


def test_a_released_vm_runs_on_and_keeps_its_disk(cloud):
    host = theirs(cloud)
    cloud.done(adopt(cloud))
    assert cloud.api.post("/v1/vms/web/release", json={}).status_code == 204
    expect(cloud.api.get("/v1/vms/web"), 404, "vm.not_found")
    assert VM_ID in host.domains
    assert cloud.storage.volume(VolumeRef("vms", "old-disk")) is not None
    cloud.done(adopt(cloud))


def test_a_managed_vm_cannot_be_released(cloud):
    cloud.make_vm()
    expect(cloud.api.post("/v1/vms/web/release", json={}), 409, "vm.not_adopted")


def test_all_that_speaks_against_an_adoption_is_told(cloud):
    theirs(
        cloud,
        hindrances=("it has a hostdev device",),
        disks=(ForeignDisk("vda", "virtio", "disk", VolumeRef("vms", "gone")),),
    )
    job = cloud.ended(adopt(cloud))
    assert job["error"]["code"] == "vm.not_adoptable"
    assert "hostdev" in job["error"]["detail"]
    assert "vms/gone" in job["error"]["detail"]
    assert not cloud.rows(Vm)


def test_a_domain_of_another_size_than_every_flavor_needs_one_named(cloud):
    theirs(cloud, memory_mib=449, max_memory_mib=449)
    assert cloud.ended(adopt(cloud))["error"]["code"] == "flavor.not_named"
    cloud.done(adopt(cloud, flavor="small"))
    assert cloud.vm("web")["memory_mib"] == 449


def test_a_domain_is_adopted_once(cloud):
    theirs(cloud)
    cloud.done(adopt(cloud))
    expect(adopt(cloud, name="again"), 409, "vm.adopted")


def test_a_host_that_is_promised_too_far_adopts_nothing(cloud):
    theirs(cloud, vcpus=99, max_vcpus=99)
    job = cloud.ended(adopt(cloud, flavor="small"))
    assert job["error"]["code"] == "host.overcommitted"
    assert not cloud.rows(Vm)


def test_what_is_another_vms_already_is_not_adopted(cloud):
    vm = cloud.make_vm("first")
    theirs(cloud)
    job = cloud.ended(adopt(cloud, addresses={"52:54:00:aa:bb:cc": vm["address"]}))
    assert job["error"]["code"] == "network.address_taken"
    taken = VolumeRef("vms", vm["volumes"][0]["storage_name"])
    cloud.host("host1").foreign[VM_ID] = dataclasses.replace(
        DOMAIN, disks=(ForeignDisk("vda", "virtio", "disk", taken),)
    )
    with cloud.storage.hold(taken):
        assert cloud.ended(adopt(cloud))["error"]["code"] == "volume.name_taken"


def test_an_image_of_the_cloud_is_nobodys_disk(cloud):
    image = cloud.rows(Image)[0]
    device = VolumeRef(image.pool, image.storage_name)
    theirs(cloud, disks=(ForeignDisk("vda", "virtio", "disk", device),))
    with cloud.storage.hold(device):
        assert cloud.ended(adopt(cloud))["error"]["code"] == "volume.name_taken"


def test_a_disk_that_others_have_open_or_nobody_is_not_adopted(cloud):
    theirs(cloud)
    with cloud.storage.hold(DISK, "10.0.0.2:0/2"):
        assert "is open 2 times" in cloud.ended(adopt(cloud))["error"]["detail"]
    cloud.opened.close()
    assert "of another cluster" in cloud.ended(adopt(cloud))["error"]["detail"]
    assert not cloud.rows(Vm)


def test_two_disks_of_one_name_in_two_pools_are_refused(cloud):
    twin = VolumeRef("images", DISK.name)
    theirs(cloud, disks=(DOMAIN.disks[0], ForeignDisk("vdb", "virtio", "disk", twin)))
    cloud.storage.create_volume(twin, size_bytes=MIB, job_id="theirs")
    with cloud.storage.hold(twin):
        assert cloud.ended(adopt(cloud))["error"]["code"] == "volume.name_taken"


def test_a_further_disk_gets_a_name_that_nothing_has(cloud):
    name = "w" * 63
    cloud.done(cloud.api.post("/v1/volumes", json={"name": f"{name[:48]}-data-1", "size_gib": 1}))
    second = VolumeRef("vms", "old-2")
    theirs(cloud, disks=(DOMAIN.disks[0], ForeignDisk("vdb", "virtio", "disk", second)))
    cloud.storage.create_volume(second, size_bytes=MIB, job_id="theirs")
    with cloud.storage.hold(second):
        cloud.done(adopt(cloud, name=name))
    assert [volume["name"] for volume in cloud.vm(name)["volumes"]] == [None, f"{name[:48]}-data-2"]


def test_of_two_adoptions_at_once_one_is_refused(cloud):
    theirs(cloud)
    orders = adopt(cloud), adopt(cloud, name="again")
    cloud.settle()
    ended = sorted(map(cloud.job, orders), key=lambda job: str(job["state"]))
    assert [job["state"] for job in ended] == ["failed", "succeeded"]
    assert ended[0]["error"]["code"] == "vm.adopted"


def test_a_card_without_a_known_address_is_shown_without(cloud):
    theirs(cloud)
    cloud.done(adopt(cloud, addresses={}))
    assert cloud.vm("web")["nics"][0]["address"] is None


def test_a_vm_without_a_card_can_be_declared(cloud):
    theirs(cloud, nics=())
    cloud.done(adopt(cloud, addresses={}))
    cloud.done(cloud.api.post("/v1/vms/web/confirm", json={}))
    declared = cloud.api.put("/v1/vms/web", json={"name": "web", "flavor": "small", "network": "guests"})
    assert expect(declared, 409, "vm.unchangeable")["errors"][0]["field"] == "network"
    assert cloud.api.put("/v1/vms/web", json={"name": "web", "flavor": "small"}).json()["diff"] == []


def test_a_domain_that_is_not_there_is_not_found(cloud):
    job = cloud.ended(adopt(cloud, domain=str(uuid.uuid4())))
    assert job["error"]["code"] == "domain.not_found"
    expect(adopt(cloud, host="nobody"), 404, "host.not_found")
    expect(adopt(cloud, domain="../etc"), 422, "request.invalid")
