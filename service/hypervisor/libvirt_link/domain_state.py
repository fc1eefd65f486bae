"""libvirt's state of a domain as the contract's values."""

from __future__ import annotations

import libvirt
from lxml import etree

from service.hypervisor import schema
from service.hypervisor.render import METADATA_NAMESPACE
from service.hypervisor.values import DomainState, DomainStateName

_NS = {"n": METADATA_NAMESPACE}
_STATES: dict[int, DomainStateName] = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "shutting_down",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
}


def find(connection: libvirt.virConnect, vm_id: str) -> libvirt.virDomain | None:
    """Return the domain's handle; None when the host has none of that UUID."""
    try:
        return connection.lookupByUUIDString(vm_id)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def read(domain: libvirt.virDomain) -> DomainState | None:
    """Return the domain's state; None when it has ended since the look-up."""
    try:
        state = state_name(domain)
        if state is None:
            return None
        _, memory_kib, _, vcpus, cpu_time_ns = domain.info()
        root = schema.parse(domain.XMLDesc(0))
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID):
            return None
        raise
    return DomainState(
        vm_id=domain.UUIDString(),
        name=root.findtext("title") or domain.name(),
        state=state,
        vcpus=vcpus,
        memory_mib=memory_kib // 1024,
        cpu_time_s=cpu_time_ns / 1e9,
        epoch=_epoch(root),
        job_id=root.findtext("metadata/n:domain/n:job", namespaces=_NS),
    )


def state_name(domain: libvirt.virDomain) -> DomainStateName | None:
    """Return the state name, by one call; None for a domain that is just shut off."""
    try:
        state, reason = domain.state()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    return state_of(state, reason)


def state_of(state: int, reason: int) -> DomainStateName | None:
    """Return the name of libvirt's state and reason; None for a shut-off domain."""
    if state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_IOERROR:
        return "io_error"
    return _STATES.get(state)


def _epoch(root: etree._Element) -> int | None:
    text = root.findtext("metadata/n:domain/n:epoch", namespaces=_NS)
    return int(text) if text is not None and text.isdecimal() else None
