"""Base of the parts of the libvirt driver: a host's connection and domain look-up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

import libvirt
import libvirt_qemu
from lxml import etree

from service.hypervisor import schema
from service.hypervisor.errors import DomainNotFoundError, DomainRefusedError
from service.hypervisor.events import EventHub, Watch
from service.hypervisor.libvirt_link import domain_state
from service.hypervisor.libvirt_link.connection import HostConnection
from service.hypervisor.values import HostEndpoint

Result = TypeVar("Result")
STOP_TIMEOUT_S = 60.0
_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)


class LibvirtPart:
    """Base class of one host's driver."""

    def __init__(self, endpoint: HostEndpoint, connection: HostConnection, hub: EventHub) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._hub = hub

    def watch(self, vm_id: str) -> AbstractContextManager[Watch]:
        """Subscribe to one domain of this host."""
        return self._hub.watch(self._endpoint.name, vm_id)

    def _with_domain(self, vm_id: str, action: Callable[[libvirt.virDomain], Result]) -> Result:
        """Return `action(domain)`. Raises DomainNotFoundError, also if it ends meanwhile."""

        def run(connection: libvirt.virConnect) -> Result:
            domain = domain_state.find(connection, vm_id)
            if domain is None:
                raise DomainNotFoundError(f"host {self._endpoint.name} has no domain {vm_id}")
            try:
                return action(domain)
            except libvirt.libvirtError as error:
                if error.get_error_code() in _GONE and domain_state.find(connection, vm_id) is None:
                    raise DomainNotFoundError(f"host {self._endpoint.name} has lost domain {vm_id}") from error
                raise

        return self._connection.call(run, timeout_s=STOP_TIMEOUT_S)


def run_qmp(domain: libvirt.virDomain, command: str, arguments: Mapping[str, str | bool]) -> None:
    """Run a QMP command.

    Raises DomainRefusedError with QEMU's message; neither it nor libvirt's contains the arguments.
    """
    question = json.dumps({"execute": command, "arguments": arguments})
    answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, question, 0))
    if "error" in answer:
        raise DomainRefusedError(f"QEMU refused {command}: {answer['error'].get('desc', 'no reason given')}")


def live_tree(domain: libvirt.virDomain) -> etree._Element:
    """Return the running domain's XML."""
    return schema.parse(domain.XMLDesc(0))


def find_disk(domain: libvirt.virDomain, target: str) -> etree._Element | None:
    """Return the disk or drive at `target`; None when there is none."""
    return next((disk for disk in live_tree(domain).findall("devices/disk") if _target(disk) == target), None)


def _target(disk: etree._Element) -> str | None:
    found = disk.find("target")
    return None if found is None else found.get("dev")
