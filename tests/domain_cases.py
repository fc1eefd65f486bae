"""The specs whose XML is kept under tests/golden/domain, one file per case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from service.hypervisor.spec import CpuSpec, DiskSpec, DomainSpec, NicSpec
from storage.refs import Rbd

FOLDER = Path(__file__).parent / "golden/domain"


def rbd(pool: str, name: str) -> Rbd:
    """An RBD image as host1 opens it."""
    return Rbd(pool, name, user="host-host1", secret_uuid="dfb56d8a-8d83-5291-a680-5416517dc0bb")


ROOT = DiskSpec(target="vda", source=rbd("vms", "vm-5f0c-0"), boot_order=1, serial="vm-5f0c-0")
SEED = DiskSpec(target="sda", source=rbd("vms", "vm-5f0c-1"), device="cdrom", bus="scsi", read_only=True)
EMPTY_DRIVE = DiskSpec(target="sdb", source=None, device="cdrom", bus="scsi")

ORDINARY = DomainSpec(
    vm_id="5f0c1a52-7c3e-4f5e-9a43-0d6f5b0f9c11",
    name="web-1",
    owner="shop",
    epoch=3,
    job_id="0b8f6d1e-52a5-4a4e-8a2d-b7f9f6b3f001",
    virt_type="qemu",
    machine="pc-q35-7.2",
    cpu=CpuSpec(model=None, vcpus=1, max_vcpus=4),
    memory_mib=512,
    max_memory_mib=2048,
    disks=(ROOT, SEED),
    nics=(NicSpec(mac="52:54:00:12:34:56", bridge="br-guest"),),
    vnc_address="10.80.0.11",
)

CASES = {
    "ordinary": ORDINARY,
    "kvm": replace(ORDINARY, virt_type="kvm"),
    "named_cpu": replace(ORDINARY, virt_type="kvm", cpu=CpuSpec(model="Skylake-Server", vcpus=2, max_vcpus=2)),
    "no_hot_add": replace(ORDINARY, memory_mib=512, max_memory_mib=512, cpu=CpuSpec(None, vcpus=1, max_vcpus=1)),
    "nothing_attached": replace(ORDINARY, disks=(), nics=()),
    "empty_drive": replace(ORDINARY, disks=(ROOT, EMPTY_DRIVE)),
    "many_disks": replace(
        ORDINARY,
        disks=(
            ROOT,
            DiskSpec(target="vdb", source=rbd("vms", "vm-5f0c-2")),
            DiskSpec(target="vdc", source=rbd("vms", "shared-read"), read_only=True),
            DiskSpec(target="sda", source=rbd("vms", "scsi"), bus="scsi"),
        ),
        nics=(*ORDINARY.nics, NicSpec(mac="52:54:00:12:34:57", bridge="br-guest", model="e1000e")),
    ),
    "uefi": replace(ORDINARY, firmware="uefi", nvram=rbd("vms", "vm-5f0c-nvram"), video="virtio"),
    "from_iso": replace(
        ORDINARY,
        disks=(
            DiskSpec(target="sda", source=rbd("images", "image-1"), device="cdrom", bus="sata", boot_order=1),
            DiskSpec(target="sdb", source=None, device="cdrom", bus="sata"),
            replace(ROOT, boot_order=2),
        ),
        nics=(NicSpec(mac="52:54:00:12:34:56", bridge="br-guest", boot_order=3),),
    ),
    "old_system": replace(
        ORDINARY,
        machine="pc-i440fx-7.2",
        clock="localtime",
        video="cirrus",
        disks=(
            DiskSpec(target="hda", source=rbd("vms", "vm-5f0c-0"), bus="ide", boot_order=1),
            DiskSpec(target="hdc", source=rbd("images", "image-1"), device="cdrom", bus="ide", boot_order=2),
        ),
        nics=(NicSpec(mac="52:54:00:12:34:56", bridge="br-guest", model="rtl8139"),),
    ),
    "hostile_names": replace(
        ORDINARY,
        name="</title><devices> & \"quotes\" 'too' ]]> <!-- {{ 7*7 }} {% raw %} é \u202e\u05d0\u05d1",
        owner="<owner epoch='9'/>",
        job_id="&amp;lt;",
    ),
}
