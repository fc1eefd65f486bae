"""What a host says of itself through libvirt."""

from __future__ import annotations

import libvirt

from service.hypervisor import schema
from service.hypervisor.contract import HypervisorFacts


def read(connection: libvirt.virConnect) -> HypervisorFacts:
    """One host's facts: three calls and two XML documents."""
    info = connection.getInfo()
    host = schema.parse(connection.getCapabilities())
    kvm_offered = host.find("guest/arch[@name='x86_64']/domain[@type='kvm']") is not None
    domains = schema.parse(connection.getDomainCapabilities(None, "x86_64", "q35", "kvm" if kvm_offered else "qemu"))
    model = host.findtext("host/cpu/model") or "unknown"
    features = sorted(feature.get("name", "") for feature in host.findall("host/cpu/feature"))
    return HypervisorFacts(
        cpus=info[2],
        memory_mib=info[1],
        cpu_model=model,
        cpu_features=tuple(features),
        machine=domains.findtext("machine") or "",
        libvirt_version=_version(connection.getLibVersion()),
        qemu_version=_version(connection.getVersion()),
        kvm_offered=kvm_offered,
    )


def _version(number: int) -> str:
    """libvirt counts 1000000 * major + 1000 * minor + release."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
