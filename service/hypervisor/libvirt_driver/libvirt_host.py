"""The hypervisor contract on a real host, by libvirt over TLS.

Domains are transient: a stopped one does not exist.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import libvirt

from service.hypervisor.checks.kvm_probe import Probe
from service.hypervisor.checks.preflight import Preflight
from service.hypervisor.errors import DomainConflictError, DomainNotFoundError, DomainRefusedError
from service.hypervisor.events import EventHub
from service.hypervisor.findings import Expectations, HostReport
from service.hypervisor.foreign import ForeignDomain
from service.hypervisor.foreign import read as read_foreign
from service.hypervisor.libvirt_driver.libvirt_devices import LibvirtDevices
from service.hypervisor.libvirt_driver.libvirt_screen import LibvirtScreen
from service.hypervisor.libvirt_link import domain_state, domain_statistics, host_facts
from service.hypervisor.libvirt_link.connection import HostConnection
from service.hypervisor.migration.libvirt_side import LibvirtSide
from service.hypervisor.migration.migration import Migration
from service.hypervisor.render import METADATA_NAMESPACE, render, render_mark
from service.hypervisor.spec import DomainSpec, VirtType
from service.hypervisor.values import (
    DomainState,
    DomainStatistics,
    HostCounters,
    HostEndpoint,
    HypervisorFacts,
    MigrationProgress,
    MigrationReport,
)

START_TIMEOUT_S = 90.0


class LibvirtHost(LibvirtDevices, LibvirtScreen):
    """One host. Created by LibvirtHypervisors.on(); connects at the first call."""

    def __init__(
        self,
        endpoint: HostEndpoint,
        connection: HostConnection,
        hub: EventHub,
        *,
        side: Callable[[HostEndpoint], LibvirtSide],
    ) -> None:
        super().__init__(endpoint, connection, hub)
        self._side = side

    def facts(self) -> HypervisorFacts:
        return self._connection.call(host_facts.read)

    def counters(self) -> HostCounters:
        return self._connection.call(host_facts.count)

    def domains(self) -> tuple[DomainState, ...]:
        def read_all(connection: libvirt.virConnect) -> tuple[DomainState, ...]:
            found = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
            return tuple(state for state in map(domain_state.read, found) if state is not None)

        return self._connection.call(read_all)

    def domain(self, vm_id: str) -> DomainState | None:
        return self._connection.call(lambda connection: _state(connection, vm_id))

    def statistics(self) -> tuple[DomainStatistics, ...]:
        return self._connection.call(domain_statistics.read)

    def start(self, spec: DomainSpec, *, paused: bool = False) -> DomainState:
        xml = render(spec)
        flags = libvirt.VIR_DOMAIN_START_VALIDATE | (libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
        try:
            return self._connection.call(lambda connection: _create(connection, xml, flags), timeout_s=START_TIMEOUT_S)
        except DomainRefusedError:
            there = self._same(spec)  # libvirt creates no second domain of one UUID
            if there is None:
                raise
            return there

    def shut_down(self, vm_id: str) -> None:
        self._with_any_domain(vm_id, lambda domain: domain.shutdown())

    def force_off(self, vm_id: str) -> None:
        self._with_any_domain(vm_id, lambda domain: domain.destroyFlags(0))

    def reset(self, vm_id: str) -> None:
        self._with_domain(vm_id, lambda domain: domain.reset(0))

    def suspend(self, vm_id: str) -> None:
        self._with_domain(vm_id, lambda domain: domain.suspend())

    def resume(self, vm_id: str) -> None:
        def resume(domain: libvirt.virDomain) -> None:
            if domain_state.state_name(domain) != "running":
                domain.resume()

        self._with_domain(vm_id, resume)

    def wait_stopped(self, vm_id: str, *, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with self.watch(vm_id) as watch:
            while self.domain(vm_id) is not None:
                if watch.next(deadline - time.monotonic()) is None:
                    return self.domain(vm_id) is None
        return True

    def migrate(
        self, target: HostEndpoint, spec: DomainSpec, *, progress: Callable[[MigrationProgress], None]
    ) -> MigrationReport:
        move = Migration(self._side(self._endpoint), self._side(target), spec)
        return move.run(progress)

    def cancel_migration(self, vm_id: str) -> None:
        self._side(self._endpoint).cancel(vm_id)

    def probe_virt_type(self) -> VirtType:
        facts = self.facts()
        return Probe(self._endpoint, self._connection, self._hub, facts.machine).run() if facts.kvm_offered else "qemu"

    def definition(self, vm_id: str) -> ForeignDomain:
        return self._connection.call(lambda connection: read_foreign(connection.lookupByUUIDString(vm_id).XMLDesc(0)))

    def take_over(self, spec: DomainSpec) -> None:
        mark = render_mark(spec)
        self._with_domain(spec.vm_id, lambda domain: _take_over(domain, mark))

    def preflight(self, want: Expectations) -> HostReport:
        return Preflight(self._connection, self.probe_virt_type).run(want)

    def _same(self, spec: DomainSpec) -> DomainState | None:
        there = self.domain(spec.vm_id)
        if there is not None and there.epoch != spec.epoch:
            raise DomainConflictError(
                f"host {self._endpoint.name} has domain {spec.vm_id} of epoch {there.epoch}, not {spec.epoch}"
            )
        return there

    def _with_any_domain(self, vm_id: str, action: Callable[[libvirt.virDomain], object]) -> None:
        """Call the action on a domain; ignore that it is gone, or goes meanwhile."""
        with suppress(DomainNotFoundError):
            self._with_domain(vm_id, action)


def _state(connection: libvirt.virConnect, vm_id: str) -> DomainState | None:
    domain = domain_state.find(connection, vm_id)
    return None if domain is None else domain_state.read(domain)


def _take_over(domain: libvirt.virDomain, mark: str) -> None:
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, mark, "nacre", METADATA_NAMESPACE, live)
    if domain.isPersistent():
        domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)


def _create(connection: libvirt.virConnect, xml: str, flags: int) -> DomainState:
    state = domain_state.read(connection.createXML(xml, flags))
    if state is None:
        raise DomainRefusedError("the domain ended as soon as it had started")
    return state
