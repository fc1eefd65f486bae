"""What a domain is made of, as frozen values: everything a template may show, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VirtType = Literal["kvm", "qemu"]


@dataclass(frozen=True, slots=True)
class CephAccess:
    """How QEMU on one host reaches Ceph: the host's own cephx user and its libvirt secret."""

    user: str  # without the "client." prefix
    secret_uuid: str
    conf_path: str = "/etc/ceph/ceph.conf"


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk or CD-ROM. `pool` and `rbd_name` are both None for an empty CD-ROM drive."""

    target: str  # vda, vdb, sda …; a seed is a cdrom on "scsi": cloud kernels have no AHCI driver
    pool: str | None
    rbd_name: str | None
    device: Literal["disk", "cdrom"] = "disk"
    bus: Literal["virtio", "scsi", "sata"] = "virtio"
    boot_order: int | None = None
    read_only: bool = False
    serial: str = ""


@dataclass(frozen=True, slots=True)
class NicSpec:
    """A network card on a bridge of the host."""

    mac: str
    bridge: str
    model: str = "virtio"


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
    machine: str  # versioned: pc-q35-7.2
    cpu: CpuSpec
    memory_mib: int
    max_memory_mib: int
    ceph: CephAccess
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...]
    vnc_address: str
