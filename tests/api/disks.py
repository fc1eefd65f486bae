"""What the tests of disks look at: a VM's volumes, its hardware as the host has it, the project's counters."""

from service.db import quotas
from service.db.engine.database import unit_of_work
from service.db.tables import Project
from service.hypervisor.memory.memory_cloud import Hardware
from service.hypervisor.spec import DiskSpec
from service.operations.vms.cloud_init import Seed, build_iso
from storage.refs import VolumeRef
from tests.api.world import Cloud

GIB = 1 << 30


def iso() -> bytes:
    """A real ISO image."""
    return build_iso(Seed("i", "h", "u", (), "52:54:00:00:00:01", "10.0.0.2/24", None, ()))


def add_iso(cloud: Cloud, name: str = "installer") -> dict:
    cloud.done(cloud.upload(iso(), name=name, format="iso"))
    return cloud.api.get(f"/v1/images/{name}").json()


def hardware(cloud: Cloud, name: str = "web") -> Hardware:
    """The running VM as its host has it."""
    vm = cloud.vm(name)
    return cloud.host(vm["host"]).hardware[vm["id"]]


def opened(disk: DiskSpec) -> VolumeRef | None:
    """The volume that a domain's disk is, by the file that the storage in memory names; None for an empty drive."""
    if disk.source is None:
        return None
    return VolumeRef(*disk.source.path.removeprefix("/memory/").split("/"))


def disk(cloud: Cloud, target: str, name: str = "web") -> dict | None:
    """The VM's volume at a target."""
    return next((volume for volume in cloud.vm(name)["volumes"] if volume["target"] == target), None)


def stored(cloud: Cloud, volume: dict) -> int | None:
    """The size of the block device; None when there is none."""
    info = cloud.storage.volume(VolumeRef(volume["pool"], volume["storage_name"]))
    return info.size_bytes if info is not None else None


def used(cloud: Cloud) -> dict[str, int]:
    """What the project `default` is counted for, which is what its rows add up to."""
    with unit_of_work(cloud.db):
        project = Project.get(Project.name == "default")
        counted = {row.resource: row.used for row in quotas.of_project(project.id) if row.used}
        assert counted == {name: number for name, number in quotas.recounted(project.id).items() if number}
        return counted
