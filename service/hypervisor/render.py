"""DomainSpec to libvirt domain XML. Free text stays text: every value is escaped, the result parsed and validated."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from lxml import etree

from service.hypervisor import schema
from service.hypervisor.spec import UEFI_CODE, DiskSpec, DomainSpec, VirtType
from service.hypervisor.spec_check import check, check_disk
from storage.refs import Attachment

TEMPLATES = Path(__file__).with_name("templates") / "domain"  # a link to the top one: so the wheel has it too
METADATA_NAMESPACE = "urn:nacre:domain:1"
SERIAL_LOG_FOLDER = "/var/log/libvirt/qemu"
TCG_CPU_MODEL = "Nehalem"  # x86-64-v2, which today's distributions ask for; TCG offers every feature of it
SPARE_ROOT_PORTS = 4
_FIXED_PCI_DEVICES = 4  # serial channel, SCSI controller, balloon, RNG
_CONVENTIONAL_NICS = ("e1000", "rtl8139")  # PCI, not PCIe: they share a bridge, which takes one port


def render(spec: DomainSpec) -> str:
    """The domain's XML. Raises SpecInvalidError for text that XML cannot hold and for numbers that contradict."""
    check(spec)
    xml = (
        _environment()
        .get_template("vm.xml.j2")
        .render(
            vm=spec,
            domain_name=domain_name(spec.vm_id),
            metadata_namespace=METADATA_NAMESPACE,
            cpu_model=_cpu_model(spec.virt_type, spec.cpu.model),
            root_ports=_devices_on_ports(spec) + SPARE_ROOT_PORTS,
            uefi_code=UEFI_CODE,
            serial_log=f"{SERIAL_LOG_FOLDER}/{domain_name(spec.vm_id)}.serial.log",
        )
    )
    schema.validate(schema.parse(xml))
    return xml


def render_disk(disk: DiskSpec) -> str:
    """One disk, or drive with its medium, for a domain that runs already. Raises SpecInvalidError."""
    check_disk(disk)
    return _environment().get_template("disk.xml.j2").render(disk=disk)


def render_dimm(size_mib: int) -> str:
    """A piece of memory for a domain that runs already."""
    return _environment().get_template("dimm.xml.j2").render(size_mib=size_mib)


def render_mark(spec: DomainSpec) -> str:
    """The element of the domain's metadata that says whose it is, without its namespace: libvirt puts that in."""
    check(spec)
    template = _environment().get_template("metadata.xml.j2")
    metadata = schema.parse(template.render(vm=spec, metadata_namespace=METADATA_NAMESPACE))
    mark = metadata[0]
    for element in mark.iter():
        element.tag = etree.QName(element).localname
    etree.cleanup_namespaces(mark)
    return etree.tostring(mark, encoding="unicode")


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


def render_preflight(*, uuid: str, name: str, machine: str, bridge: str | None, source: Attachment | None) -> str:
    """A tiny domain with a card on `bridge`, or with a disk from `source`."""
    template = _environment().get_template("preflight.xml.j2")
    xml = template.render(uuid=uuid, name=name, machine=machine, bridge=bridge, source=source)
    schema.validate(schema.parse(xml))
    return xml


def domain_name(vm_id: str) -> str:
    """libvirt's name of a VM's domain: it allows neither '/' nor newlines, so the VM's own name is only a title."""
    return f"vm-{vm_id}"


def _cpu_model(virt_type: VirtType, model: str | None) -> str | None:
    """None is host-model. It describes real silicon, which TCG does not run on: there a named model stands in."""
    return TCG_CPU_MODEL if model is None and virt_type == "qemu" else model


def _devices_on_ports(spec: DomainSpec) -> int:
    conventional = [nic for nic in spec.nics if nic.model in _CONVENTIONAL_NICS]
    nics = len(spec.nics) - len(conventional) + bool(conventional)
    return _FIXED_PCI_DEVICES + nics + sum(disk.bus == "virtio" for disk in spec.disks)


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
