"""DomainSpec to libvirt domain XML. Free text stays text: every value is escaped, the result parsed and validated."""

from __future__ import annotations

import unicodedata
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.hypervisor import schema
from service.hypervisor.errors import SpecInvalidError
from service.hypervisor.spec import DomainSpec, VirtType

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "domain"
METADATA_NAMESPACE = "urn:nacre:domain:1"
SERIAL_LOG_FOLDER = "/var/log/libvirt/qemu"
TCG_CPU_MODEL = "Nehalem"  # x86-64-v2, which today's distributions ask for; TCG offers every feature of it
SPARE_ROOT_PORTS = 4
_FIXED_PCI_DEVICES = 3  # serial channel, balloon, RNG


def render(spec: DomainSpec) -> str:
    """The domain's XML. Raises SpecInvalidError for text that XML cannot hold and for numbers that contradict."""
    _check(spec)
    xml = (
        _environment()
        .get_template("vm.xml.j2")
        .render(
            vm=spec,
            domain_name=domain_name(spec.vm_id),
            metadata_namespace=METADATA_NAMESPACE,
            cpu_model=_cpu_model(spec.virt_type, spec.cpu.model),
            root_ports=_virtio_devices(spec) + SPARE_ROOT_PORTS,
            serial_log=f"{SERIAL_LOG_FOLDER}/{domain_name(spec.vm_id)}.serial.log",
        )
    )
    schema.validate(schema.parse(xml))
    return xml


def render_probe(virt_type: VirtType, *, uuid: str, name: str, machine: str, folder: str) -> str:
    """A domain that boots `folder`/vmlinuz with `folder`/initrd and nothing else."""
    xml = (
        _environment()
        .get_template("probe.xml.j2")
        .render(
            virt_type=virt_type,
            uuid=uuid,
            name=name,
            machine=machine,
            folder=folder,
            cpu_model=_cpu_model(virt_type, None),
        )
    )
    schema.validate(schema.parse(xml))
    return xml


def domain_name(vm_id: str) -> str:
    """libvirt's name of a VM's domain: it allows neither '/' nor newlines, so the VM's own name is only a title."""
    return f"vm-{vm_id}"


def _cpu_model(virt_type: VirtType, model: str | None) -> str | None:
    """None is host-model. It describes real silicon, which TCG does not run on: there a named model stands in."""
    return TCG_CPU_MODEL if model is None and virt_type == "qemu" else model


def _virtio_devices(spec: DomainSpec) -> int:
    scsi_controller = any(disk.bus == "scsi" for disk in spec.disks)
    return _FIXED_PCI_DEVICES + len(spec.nics) + sum(disk.bus == "virtio" for disk in spec.disks) + scsi_controller


def _check(spec: DomainSpec) -> None:
    for path, text in _texts("domain", spec):
        bad = next((character for character in text if _unwritable(character)), None)
        if bad is not None:
            raise SpecInvalidError(
                f"{path} holds the character U+{ord(bad):04X}, which domain XML cannot hold: remove it"
            )
    if not 1 <= spec.cpu.vcpus <= spec.cpu.max_vcpus:
        raise SpecInvalidError(f"{spec.cpu.vcpus} vCPUs do not fit under the ceiling of {spec.cpu.max_vcpus}")
    if not 1 <= spec.memory_mib <= spec.max_memory_mib:
        raise SpecInvalidError(f"{spec.memory_mib} MiB do not fit under the ceiling of {spec.max_memory_mib} MiB")
    for disk in spec.disks:
        if (disk.pool is None) != (disk.rbd_name is None) or (disk.rbd_name is None and disk.device != "cdrom"):
            raise SpecInvalidError(f"disk {disk.target} has no source: only a CD-ROM drive may be empty")


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


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
