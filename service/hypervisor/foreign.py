"""A domain that Nacre did not make, read from its XML: what it is made of, and why it could not be taken over."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from service.hypervisor import schema
from storage.refs import VolumeRef, is_name

BUSES, NIC_MODELS = ("virtio", "scsi", "sata", "ide"), ("virtio", "e1000", "e1000e", "rtl8139")
QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
# What ties a guest to its host, or what a fresh start would not give it again.
UNSUPPORTED_DEVICES = (
    "hostdev",
    "filesystem",
    "tpm",
    "shmem",
    "redirdev",
    "smartcard",
    "vsock",
    "iommu",
    "nvram",
    "lease",
)


@dataclass(frozen=True, slots=True)
class ForeignDisk:
    """A disk on RBD, or a CD-ROM drive (`volume` None when it is empty)."""

    target: str
    bus: str
    device: str  # disk | cdrom
    volume: VolumeRef | None


@dataclass(frozen=True, slots=True)
class ForeignNic:
    """A network card on a bridge."""

    mac: str
    bridge: str
    model: str


@dataclass(frozen=True, slots=True)
class ForeignDomain:
    """A domain as its XML tells it. `hindrances` are sentences; with any of them it cannot be taken over."""

    vm_id: str
    name: str
    vcpus: int
    max_vcpus: int
    memory_mib: int
    max_memory_mib: int
    virt_type: str
    machine: str
    clock: str
    disks: tuple[ForeignDisk, ...]
    nics: tuple[ForeignNic, ...]
    hindrances: tuple[str, ...]


def read(xml: str) -> ForeignDomain:
    """The domain in `xml`. Raises SpecInvalidError when it does not parse."""
    root = schema.parse(xml)
    disks = [_disk(disk) for disk in root.findall("devices/disk")]
    nics = [_nic(nic) for nic in root.findall("devices/interface")]
    hindrances = [found for found in (*disks, *nics) if isinstance(found, str)] + _hindrances(root)
    vcpu, memory_mib = root.find("vcpu"), _mib(root, "memory")
    most = int(vcpu.text or 1) if vcpu is not None else 1
    return ForeignDomain(
        vm_id=root.findtext("uuid") or "",
        name=root.findtext("name") or "",
        vcpus=int(vcpu.get("current", most)) if vcpu is not None else 1,
        max_vcpus=most,
        memory_mib=memory_mib,
        max_memory_mib=_mib(root, "maxMemory") or memory_mib,
        virt_type=root.get("type", ""),
        machine=_machine(root),
        clock=_attribute(root, "clock", "offset") or "utc",
        disks=tuple(disk for disk in disks if isinstance(disk, ForeignDisk)),
        nics=tuple(nic for nic in nics if isinstance(nic, ForeignNic)),
        hindrances=tuple(hindrances),
    )


def _disk(disk: etree._Element) -> ForeignDisk | str:
    """The disk, or why it cannot come along."""
    target, device = _attribute(disk, "target", "dev"), disk.get("device", "disk")
    bus, source = _attribute(disk, "target", "bus"), disk.find("source")
    if device not in ("disk", "cdrom") or bus not in BUSES:
        return f"{device} {target} on bus {bus} is not supported"
    if source is None and device == "cdrom":
        return ForeignDisk(target, bus, device, None)
    pool, _, name = (source.get("name", "") if source is not None else "").partition("/")
    if source is None or source.get("protocol") != "rbd" or not (is_name(pool) and is_name(name)):
        return f"{device} {target} is not an image in an RBD pool"
    if disk.find("encryption") is not None or disk.find("transient") is not None or source.find("snapshot") is not None:
        return f"{device} {target} is encrypted, transient or a snapshot"
    return ForeignDisk(target, bus, device, VolumeRef(pool, name))


def _nic(nic: etree._Element) -> ForeignNic | str:
    mac, model = _attribute(nic, "mac", "address"), _attribute(nic, "model", "type") or "rtl8139"
    bridge = _attribute(nic, "source", "bridge")
    if not bridge:
        return f"network card {mac} is on no bridge but of type {nic.get('type')}"
    if model not in NIC_MODELS:
        return f"network card {mac} is of model {model}, which is not supported"
    return ForeignNic(mac, bridge, model)


def _hindrances(root: etree._Element) -> list[str]:
    found = [f"it has a {name} device" for name in UNSUPPORTED_DEVICES if root.find(f"devices/{name}") is not None]
    if root.get("type") not in ("kvm", "qemu"):
        found.append(f"it is of type {root.get('type')}")
    if any(root.find(f"{{{QEMU_NAMESPACE}}}{name}") is not None for name in ("commandline", "override")):
        found.append("it passes arguments straight to QEMU")
    if root.find("os/loader") is not None or root.find("os").get("firmware") == "efi":  # type: ignore[union-attr]
        found.append("it boots by UEFI, whose variables lie in a file on the host")
    if root.find("os/kernel") is not None:
        found.append("it boots a kernel that lies on the host")
    if root.find("launchSecurity") is not None:
        found.append("its memory is encrypted")
    if "-q35-" not in _machine(root) and "-i440fx-" not in _machine(root):
        found.append(f"its machine type is {_machine(root) or 'unknown'}")
    return found


def _machine(root: etree._Element) -> str:
    return _attribute(root, "os/type", "machine")


def _attribute(parent: etree._Element, path: str, name: str) -> str:
    element = parent.find(path)
    return "" if element is None else element.get(name, "")


def _mib(root: etree._Element, name: str) -> int:
    """libvirt writes memory in KiB when it is asked for a domain's XML."""
    return int(root.findtext(name) or 0) // 1024
