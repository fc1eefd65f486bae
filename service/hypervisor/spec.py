"""What a domain is made of, as frozen values: everything a template may show, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from storage.refs import Attachment

VirtType = Literal["kvm", "qemu"]
Firmware = Literal["bios", "uefi"]
Chipset = Literal["q35", "pc"]  # "pc" is i440fx: what systems older than 2009 know, and the only one with IDE
ClockOffset = Literal["utc", "localtime"]  # Windows takes its clock for local time
VideoModel = Literal["vga", "virtio", "cirrus"]
DiskBus = Literal["virtio", "scsi", "sata", "ide"]
NicModel = Literal["virtio", "e1000", "e1000e", "rtl8139"]
HOT_PLUG_BUSES = ("virtio", "scsi")
MEMORY_STEP_MIB = 128  # a Linux guest brings memory on line in blocks of this size
UEFI_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"  # Debian: package ovmf
UEFI_VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
NVRAM_BYTES = 540_672  # the size of UEFI_VARIABLES, and of every VM's own copy


def machine_of(chipset: Chipset, q35: str) -> str:
    """The machine type of `chipset` that has the version of `q35`: QEMU versions both alike."""
    return q35 if chipset == "q35" else q35.replace("pc-q35-", "pc-i440fx-")


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk or CD-ROM drive. `source` is None for an empty drive."""

    target: str  # vda, vdb, sda …; a seed is a cdrom on "scsi": cloud kernels have no AHCI driver
    source: Attachment | None
    device: Literal["disk", "cdrom"] = "disk"
    bus: DiskBus = "virtio"  # "ide" on chipset "pc" only; a running domain takes virtio and scsi only
    boot_order: int | None = None  # 1 is tried first; disks, drives and cards share one count
    read_only: bool = False
    serial: str = ""


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network card on a bridge of the host."""

    mac: str
    bridge: str
    model: NicModel = "virtio"
    boot_order: int | None = None


@dataclass(frozen=True, slots=True)
class CpuSpec:
    """`model` None means the host's own CPU as libvirt describes it (host-model); under TCG, render.TCG_CPU_MODEL."""

    model: str | None
    vcpus: int
    max_vcpus: int


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """A domain, ready to render. Sizes in MiB; `vm_id` is the domain's UUID; `name` is free text."""

    vm_id: str
    name: str
    owner: str
    epoch: int
    job_id: str
    virt_type: VirtType
    machine: str  # versioned, of one chipset: pc-q35-7.2, pc-i440fx-7.2
    cpu: CpuSpec
    memory_mib: int
    max_memory_mib: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...]
    vnc_address: str
    firmware: Firmware = "bios"
    # With UEFI, and only then: where it keeps its variables. NVRAM_BYTES, at first a copy of UEFI_VARIABLES.
    nvram: Attachment | None = None
    clock: ClockOffset = "utc"
    video: VideoModel = "vga"

    @property
    def chipset(self) -> Chipset:
        """What `machine` is a version of."""
        return "q35" if "q35" in self.machine else "pc"
