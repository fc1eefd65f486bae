"""What no template checks: text that XML cannot hold, numbers and devices that contradict each other."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import fields, is_dataclass

from service.hypervisor.errors import SpecInvalidError
from service.hypervisor.spec import DiskSpec, DomainSpec

IDE_DRIVES = 4


def check(spec: DomainSpec) -> None:
    """Raises SpecInvalidError with what is wrong and where."""
    check_text("domain", spec)
    if not 1 <= spec.cpu.vcpus <= spec.cpu.max_vcpus:
        raise SpecInvalidError(f"{spec.cpu.vcpus} vCPUs do not fit under the ceiling of {spec.cpu.max_vcpus}")
    if not 1 <= spec.memory_mib <= spec.max_memory_mib:
        raise SpecInvalidError(f"{spec.memory_mib} MiB do not fit under the ceiling of {spec.max_memory_mib} MiB")
    if (spec.firmware == "uefi") != (spec.nvram is not None):
        raise SpecInvalidError("UEFI, and nothing else, needs a block device for its variables")
    for disk in spec.disks:
        check_disk(disk)
    _check_ide(spec)
    _check_once("target", (disk.target for disk in spec.disks))
    orders = [disk.boot_order for disk in spec.disks] + [nic.boot_order for nic in spec.nics]
    _check_once("boot order", [order for order in orders if order is not None])


def check_disk(disk: DiskSpec) -> None:
    """Raises SpecInvalidError for a disk that cannot be one in any domain."""
    check_text(f"disk {disk.target!r}", disk)
    if disk.source is None and disk.device != "cdrom":
        raise SpecInvalidError(f"disk {disk.target} has no source: only a CD-ROM drive may be empty")
    if disk.device == "cdrom" and disk.bus == "virtio":
        raise SpecInvalidError(f"CD-ROM drive {disk.target} cannot be on bus virtio: put it on scsi, sata or ide")


def check_text(path: str, value: object) -> None:
    """Raises SpecInvalidError for a character that XML, or libvirt in a title, cannot hold; `path` leads to `value`."""
    for place, text in _texts(path, value):
        bad = next((character for character in text if _unwritable(character)), None)
        if bad is not None:
            raise SpecInvalidError(
                f"{place} holds the character U+{ord(bad):04X}, which domain XML cannot hold: remove it"
            )


def _check_ide(spec: DomainSpec) -> None:
    drives = sum(disk.bus == "ide" for disk in spec.disks)
    if drives and spec.chipset != "pc":
        raise SpecInvalidError("chipset q35 has no IDE: choose chipset pc, or bus sata")
    if drives > IDE_DRIVES:
        raise SpecInvalidError(f"{drives} IDE drives are more than the {IDE_DRIVES} that there can be")


def _check_once(what: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise SpecInvalidError(f"{what} {value} is given to two devices")
        seen.add(value)


def _texts(path: str, value: object) -> list[tuple[str, str]]:
    """Every text in a spec with the dotted path that leads to it."""
    if isinstance(value, str):
        return [(path, value)]
    if isinstance(value, tuple):
        return [found for index, item in enumerate(value) for found in _texts(f"{path}[{index}]", item)]
    if is_dataclass(value):
        return [
            found for field in fields(value) for found in _texts(f"{path}.{field.name}", getattr(value, field.name))
        ]
    return []


def _unwritable(character: str) -> bool:
    """Control characters (libvirt refuses a newline in a title too), lone surrogates, U+FFFE and U+FFFF."""
    return unicodedata.category(character) in ("Cc", "Cs") or character in "\ufffe\uffff"
