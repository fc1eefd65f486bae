"""The hypervisor contract in RAM: hosts and domains with switchable faults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from service.hypervisor.contract import Hypervisor
from service.hypervisor.errors import (
    DomainConflictError,
    DomainNotFoundError,
    DomainRefusedError,
    DomainTwiceError,
    HostUnreachableError,
    MigrationFailedError,
)
from service.hypervisor.findings import Expectations, Finding, HostReport
from service.hypervisor.foreign import ForeignDomain
from service.hypervisor.memory.memory_cloud import Hardware, MemoryCloud, MemoryHost, Move
from service.hypervisor.memory.memory_devices import MemoryDevices
from service.hypervisor.memory.memory_screen import MemoryScreen
from service.hypervisor.memory.memory_statistics import counters, statistics
from service.hypervisor.render import render
from service.hypervisor.spec import DomainSpec, VirtType
from service.hypervisor.values import (
    DomainEvent,
    DomainState,
    DomainStateName,
    DomainStatistics,
    HostCounters,
    HostEndpoint,
    HypervisorFacts,
    MigrationProgress,
    MigrationReport,
)


class MemoryHypervisors:
    """Hypervisors of a MemoryCloud.

    Several of these on one cloud simulate several processes of one control plane.
    """

    def __init__(self, cloud: MemoryCloud) -> None:
        self._cloud = cloud

    def on(self, endpoint: HostEndpoint) -> Hypervisor:
        return MemoryHypervisor(self._cloud, endpoint)

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        self._cloud.listen(handler)

    def reach(self, endpoints: Collection[HostEndpoint]) -> Mapping[HostEndpoint, str | None]:
        return {endpoint: self._cloud.trouble(endpoint) for endpoint in endpoints}

    def keep(self, endpoints: Collection[HostEndpoint]) -> None:
        self._cloud.kept = frozenset(endpoints)

    def close(self) -> None:
        """Do nothing: there are no connections."""


class MemoryHypervisor(MemoryDevices, MemoryScreen):
    """One host of a MemoryCloud."""

    def facts(self) -> HypervisorFacts:
        return self._host().facts

    def counters(self) -> HostCounters:
        host = self._host()
        with self._cloud.lock:
            return counters(host, self._cloud.clock.monotonic())

    def domains(self) -> tuple[DomainState, ...]:
        host = self._host()
        with self._cloud.lock:
            return tuple(host.domains.values())

    def domain(self, vm_id: str) -> DomainState | None:
        host = self._host()
        with self._cloud.lock:
            return host.domains.get(vm_id)

    def statistics(self) -> tuple[DomainStatistics, ...]:
        host = self._host()
        with self._cloud.lock:
            return tuple(statistics(state, host.hardware[state.vm_id]) for state in host.domains.values())

    def start(self, spec: DomainSpec, *, paused: bool = False) -> DomainState:
        render(spec)  # refuse what cannot be written as XML, too
        there = self._same(self._host(), spec)
        if there is not None:
            return there
        self._cloud.pass_time(self._host().start_s)
        host = self._host()
        with self._cloud.lock:
            there = self._same(host, spec)
            if there is not None:
                return there
            if host.refuses is not None:
                raise DomainRefusedError(f"host {host.name} would not start {spec.vm_id}: {host.refuses}")
            state = host.domains[spec.vm_id] = _started(spec, "paused" if paused else "running")
            host.hardware[spec.vm_id] = Hardware.of(spec)
        self._cloud.emit(host, spec.vm_id, "started")
        return state

    def shut_down(self, vm_id: str) -> None:
        host = self._host()
        if not host.guests_ignore_power_button:
            self._cloud.end_domain(host.name, vm_id, "stopped")

    def force_off(self, vm_id: str) -> None:
        self._cloud.end_domain(self._host().name, vm_id, "stopped")

    def reset(self, vm_id: str) -> None:
        self._hardware(vm_id)
        self._cloud.emit(self._host(), vm_id, "rebooted")

    def suspend(self, vm_id: str) -> None:
        self._switch(vm_id, "paused", "suspended")

    def resume(self, vm_id: str) -> None:
        self._switch(vm_id, "running", "resumed")

    def wait_stopped(self, vm_id: str, *, timeout_s: float) -> bool:
        deadline = self._cloud.clock.monotonic() + timeout_s
        while True:
            changed = self._cloud.change_of(vm_id)
            if self.domain(vm_id) is None:
                return True
            left = deadline - self._cloud.clock.monotonic()
            if left <= 0 or not self._cloud.clock.wait(changed, left):
                return self.domain(vm_id) is None

    def migrate(
        self, target: HostEndpoint, spec: DomainSpec, *, progress: Callable[[MigrationProgress], None]
    ) -> MigrationReport:
        begun = self._cloud.clock.monotonic()
        move = self._begin_or_join(target, spec)
        if move is not None:
            self._await(move, progress)
        return self._result(target, spec, round((self._cloud.clock.monotonic() - begun) * 1000), move)

    def cancel_migration(self, vm_id: str) -> None:
        self._host()
        self._cloud.cancel(vm_id)

    def probe_virt_type(self) -> VirtType:
        return self._host().virt_type

    def definition(self, vm_id: str) -> ForeignDomain:
        foreign = self._host().foreign.get(vm_id)
        if foreign is None:
            raise DomainNotFoundError(f"host {self._host().name} has no foreign domain {vm_id}")
        return foreign

    def take_over(self, spec: DomainSpec) -> None:
        host = self._host()
        with self._cloud.lock:
            if spec.vm_id not in host.domains:
                raise DomainNotFoundError(f"host {host.name} has no domain {spec.vm_id}")
            host.hardware[spec.vm_id] = Hardware.of(spec)
            host.domains[spec.vm_id] = replace(host.domains[spec.vm_id], epoch=spec.epoch, job_id=spec.job_id)

    def preflight(self, want: Expectations) -> HostReport:
        try:
            host = self._host()
        except HostUnreachableError as error:
            return HostReport((Finding("reach", "fail", error.detail, "Switch it on."),))
        made = (Finding("reach", "ok", f"the host in memory answers as {host.name}"), *host.findings)
        user = want.ceph_user or f"host-{host.name}"
        return HostReport(made, host.name, host.uuid, user, host.facts, host.virt_type)

    def _switch(self, vm_id: str, state: DomainStateName, kind: str) -> None:
        host = self._host()
        with self._cloud.lock:
            self._hardware(vm_id)
            before = host.domains[vm_id]
            host.domains[vm_id] = replace(before, state=state)
        if before.state != state:
            self._cloud.emit(host, vm_id, kind)

    def _same(self, host: MemoryHost, spec: DomainSpec) -> DomainState | None:
        there = host.domains.get(spec.vm_id)
        if there is not None and there.epoch != spec.epoch:
            raise DomainConflictError(
                f"host {host.name} has domain {spec.vm_id} of epoch {there.epoch}, not {spec.epoch}"
            )
        return there

    def _begin_or_join(self, target: HostEndpoint, spec: DomainSpec) -> Move | None:
        """Return the move under way, a new one, or None when there is nothing to move."""
        source, destination = self._host(), MemoryHypervisor(self._cloud, target)._host()
        with self._cloud.lock:
            under_way = self._cloud.moves.get(spec.vm_id)
            if under_way is not None:
                return under_way
            if spec.vm_id not in source.domains or spec.vm_id in destination.domains:
                return None
            return self._cloud.begin_move(source, destination, spec)

    def _await(self, move: Move, progress: Callable[[MigrationProgress], None]) -> None:
        size = move.memory_bytes
        progress(MigrationProgress("copying", 0, size, size))
        while not move.ended.is_set():
            self._cloud.clock.wait(move.ended, move.ends_s - self._cloud.clock.monotonic())
            self._host()  # advances the state by the clock, which ends the move
        progress(MigrationProgress("switching", size, 0, size))

    def _result(self, target: HostEndpoint, spec: DomainSpec, total_ms: int, move: Move | None) -> MigrationReport:
        """Return or raise the result by checking both sides, as on real hosts."""
        here, there = self.domain(spec.vm_id), MemoryHypervisor(self._cloud, target).domain(spec.vm_id)
        between = f"VM {spec.vm_id} between {self._endpoint.name} and {target.name}"
        if here is not None and there is not None:
            raise DomainTwiceError(f"{between} runs on BOTH: end one of them now")
        if here is None and there is None:
            raise DomainNotFoundError(f"{between} is on neither")
        if here is not None:
            raise MigrationFailedError(f"{between} stayed and runs: {move.failure if move else 'it never left'}")
        return MigrationReport(total_ms, 100 if move else None, move.memory_bytes if move else None)


def _started(spec: DomainSpec, state: DomainStateName) -> DomainState:
    return DomainState(
        vm_id=spec.vm_id,
        name=spec.name,
        state=state,
        vcpus=spec.cpu.vcpus,
        memory_mib=spec.memory_mib,
        cpu_time_s=0.0,
        epoch=spec.epoch,
        job_id=spec.job_id,
    )
