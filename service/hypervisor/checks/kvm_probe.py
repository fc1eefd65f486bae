"""Test of KVM on a host by booting a kernel; libvirt only checks /dev/kvm."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress

import libvirt

from service.hypervisor.contract import HostEndpoint
from service.hypervisor.errors import DomainRefusedError
from service.hypervisor.events import LOST, POWERED_OFF, EventHub, Watch
from service.hypervisor.libvirt_link import domain_state
from service.hypervisor.libvirt_link.connection import HostConnection
from service.hypervisor.render import render_probe
from service.hypervisor.spec import VirtType

PROBE_FOLDER = "/var/lib/nacre/probe"
DEADLINE_S: dict[VirtType, float] = {"kvm": 20.0, "qemu": 90.0}  # a busy computer boots slowly under TCG
CREATE_TIMEOUT_S = 60.0
_FAILED = ("crashed", "rebooted", "stopped", LOST)


class Probe:
    """Probe by a stock kernel whose init powers off; a reset, crash or timeout fails."""

    def __init__(self, endpoint: HostEndpoint, connection: HostConnection, hub: EventHub, machine: str) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._hub = hub
        self._machine = machine

    def run(self) -> VirtType:
        """Return the type that works.

        Raises DomainRefusedError when the probe guest boots with neither: the test is then inconclusive.
        """
        reason = self._boot("kvm")
        if reason is None:
            return "kvm"
        control = self._boot("qemu")
        if control is not None:
            raise DomainRefusedError(
                f"the probe guest boots on host {self._endpoint.name} neither with KVM ({reason}) "
                f"nor without ({control}): check {PROBE_FOLDER} there"
            )
        return "qemu"

    def _boot(self, virt_type: VirtType) -> str | None:
        """Boot; return None if the guest reached its init and powered off, or the failure."""
        vm_id = str(uuid.uuid4())
        xml = render_probe(
            virt_type, uuid=vm_id, name=f"nacre-probe-{vm_id[:8]}", machine=self._machine, folder=PROBE_FOLDER
        )
        with self._hub.watch(self._endpoint.name, vm_id) as watch:
            try:
                self._connection.call(
                    lambda connection: connection.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE),
                    timeout_s=CREATE_TIMEOUT_S,
                )
                return _wait(watch, DEADLINE_S[virt_type])
            except DomainRefusedError as error:
                return error.detail
            finally:
                self._clean(vm_id)

    def _clean(self, vm_id: str) -> None:
        def end(connection: libvirt.virConnect) -> None:
            domain = domain_state.find(connection, vm_id)
            if domain is not None:
                with suppress(libvirt.libvirtError):  # it may end by itself at this moment
                    domain.destroyFlags(0)

        self._connection.call(end)


def _wait(watch: Watch, deadline_s: float) -> str | None:
    deadline = time.monotonic() + deadline_s
    while (signal := watch.next(deadline - time.monotonic())) is not None:
        if signal.kind == POWERED_OFF:
            return None
        if signal.kind in _FAILED:
            return signal.kind
    return f"no event for {deadline_s:g} s"
