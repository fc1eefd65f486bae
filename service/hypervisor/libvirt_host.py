"""The contract on a real host: libvirt over TLS. Domains are transient, so what has stopped is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import libvirt

from service.hypervisor import domain_state, host_facts
from service.hypervisor.connection import HostConnection
from service.hypervisor.contract import (
    DomainState,
    HostEndpoint,
    HypervisorFacts,
    MigrationProgress,
    MigrationReport,
)
from service.hypervisor.errors import DomainConflictError, DomainNotFoundError, DomainRefusedError
from service.hypervisor.events import EventHub, Watch
from service.hypervisor.libvirt_side import LibvirtSide
from service.hypervisor.migration import Migration
from service.hypervisor.probe import Probe
from service.hypervisor.render import render
from service.hypervisor.spec import DomainSpec, VirtType

Result = TypeVar("Result")
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)


class LibvirtHost:
    """One host. Made by LibvirtHypervisors.on(); connects at the first call."""

    def __init__(
        self,
        endpoint: HostEndpoint,
        connection: HostConnection,
        hub: EventHub,
        *,
        side: Callable[[HostEndpoint], LibvirtSide],
    ) -> None:
        self._endpoint = endpoint
        self._connection = connection
        self._hub = hub
        self._side = side

    def facts(self) -> HypervisorFacts:
        return self._connection.call(host_facts.read)

    def domains(self) -> tuple[DomainState, ...]:
        def read_all(connection: libvirt.virConnect) -> tuple[DomainState, ...]:
            found = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
            return tuple(state for state in map(domain_state.read, found) if state is not None)

        return self._connection.call(read_all)

    def domain(self, vm_id: str) -> DomainState | None:
        return self._connection.call(lambda connection: _state(connection, vm_id))

    def start(self, spec: DomainSpec) -> DomainState:
        xml = render(spec)
        there = self._same(spec)
        if there is not None:
            return there
        try:
            return self._connection.call(lambda connection: _create(connection, xml), timeout_s=START_TIMEOUT_S)
        except DomainRefusedError:
            there = self._same(spec)  # another call of the same step may have won
            if there is None:
                raise
            return there

    def shut_down(self, vm_id: str) -> None:
        self._act(vm_id, lambda domain: domain.shutdown(), missing_ok=True)

    def force_off(self, vm_id: str) -> None:
        self._act(vm_id, lambda domain: domain.destroyFlags(0), missing_ok=True)

    def reset(self, vm_id: str) -> None:
        self._act(vm_id, lambda domain: domain.reset(0), missing_ok=False)

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

    def watch(self, vm_id: str) -> AbstractContextManager[Watch]:
        """Signals of one domain of this host."""
        return self._hub.watch(self._endpoint.name, vm_id)

    def _same(self, spec: DomainSpec) -> DomainState | None:
        there = self.domain(spec.vm_id)
        if there is not None and there.epoch != spec.epoch:
            raise DomainConflictError(
                f"host {self._endpoint.name} has domain {spec.vm_id} of epoch {there.epoch}, not {spec.epoch}"
            )
        return there

    def _act(self, vm_id: str, action: Callable[[libvirt.virDomain], Result], *, missing_ok: bool) -> None:
        """One action on one domain; a domain that is gone, or goes meanwhile, is either fine or DomainNotFoundError."""

        def run(connection: libvirt.virConnect) -> bool:
            domain = domain_state.find(connection, vm_id)
            if domain is None:
                return False
            try:
                action(domain)
            except libvirt.libvirtError as error:
                if error.get_error_code() in _GONE and _state(connection, vm_id) is None:
                    return False
                raise
            return True

        found = self._connection.call(run, timeout_s=STOP_TIMEOUT_S)
        if not found and not missing_ok:
            raise DomainNotFoundError(f"host {self._endpoint.name} has no domain {vm_id}")


def _state(connection: libvirt.virConnect, vm_id: str) -> DomainState | None:
    domain = domain_state.find(connection, vm_id)
    return None if domain is None else domain_state.read(domain)


def _create(connection: libvirt.virConnect, xml: str) -> DomainState:
    state = domain_state.read(connection.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE))
    if state is None:
        raise DomainRefusedError("the domain ended as soon as it had started")
    return state
