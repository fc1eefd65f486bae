"""State of the memory hypervisors: hosts, domains, moves and fault switches.

The clock is injected. A move ends by the clock, not by the thread that began it: like libvirt's, it outlives its
caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol

from service.hypervisor.errors import HostUnreachableError
from service.hypervisor.findings import Finding
from service.hypervisor.foreign import ForeignDomain
from service.hypervisor.spec import DiskSpec, DomainSpec, VirtType
from service.hypervisor.values import DomainEvent, DomainState, HostEndpoint, HypervisorFacts

MigrationEnd = Literal["works", "fails", "hand_over_lost"]


class Clock(Protocol):
    """Clock of the context."""

    def monotonic(self) -> float:
        """Return the seconds since a fixed moment."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set; False if it is not after `timeout_s`."""


def _plain_facts() -> HypervisorFacts:
    return HypervisorFacts(
        cpus=4,
        memory_mib=8192,
        cpu_model="Nehalem",
        boot_time=1_700_000_000,
        numa=(),
        links=(),
        machine="pc-q35-7.2",
        libvirt_version="9.0.0",
        qemu_version="7.2.22",
        kvm_offered=True,
        firmwares=frozenset({"bios", "uefi"}),
    )


@dataclass(slots=True)
class Hardware:
    """Current devices of a running domain. The password is not moved to another host."""

    spec: DomainSpec  # as it was started
    disks: dict[str, DiskSpec]  # by target
    sizes_bytes: dict[str, int] = field(default_factory=dict)  # by target, as far as disks were grown
    vnc_password: str | None = None
    vnc_expires_at: datetime | None = None
    console: threading.Event = field(default_factory=threading.Event)  # set when its client is disconnected

    @classmethod
    def of(cls, spec: DomainSpec) -> Hardware:
        """Return the devices of a domain that has just started."""
        return cls(spec=spec, disks={disk.target: disk for disk in spec.disks})


@dataclass(slots=True)
class MemoryHost:
    """A simulated host.

    All fields but `name` and `address` may be changed at any time, to cause faults.
    """

    name: str
    address: str
    facts: HypervisorFacts = field(default_factory=_plain_facts)
    virt_type: VirtType = "qemu"
    reachable: bool = True
    silence_s: float = 0.0  # duration of a call to an unreachable host until it fails
    answer_s: float = 0.0  # duration of any other call
    busy_s: float = 0.0  # CPU time in addition to the guests'
    memory_used_mib: int = 0  # in addition to the guests'
    ksm_saved_mib: int | None = None
    refuses: str | None = None  # reason why it refuses to start domains
    guests_ignore_power_button: bool = False
    guests_keep_disks: bool = False  # they never release a disk
    guests_keep_size: bool = False  # neither vCPUs nor memory can be added
    start_s: float = 0.0
    uuid: str = ""  # of its libvirt
    findings: tuple[Finding, ...] = ()  # of its preflight, in addition to "reach"
    migration: MigrationEnd = "works"  # of moves from this host
    migration_s: float = 0.0
    domains: dict[str, DomainState] = field(default_factory=dict)
    foreign: dict[str, ForeignDomain] = field(default_factory=dict)  # foreign ones of the domains above, by id
    hardware: dict[str, Hardware] = field(default_factory=dict)  # of the domains above


@dataclass(slots=True)
class Move:
    """A migration under way."""

    source: MemoryHost
    target: MemoryHost
    spec: DomainSpec
    ends_s: float
    ended: threading.Event = field(default_factory=threading.Event)
    failure: str = "the migration was ended"

    @property
    def memory_bytes(self) -> int:
        """Bytes to copy."""
        return self.spec.memory_mib * 1024 * 1024


class MemoryCloud:
    """Hosts by name. Thread-safe; never waits while it holds its lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.moves: dict[str, Move] = {}
        self.kept: frozenset[HostEndpoint] | None = None  # the last keep()
        self._hosts: dict[str, MemoryHost] = {}
        self._by_address: dict[str, MemoryHost] = {}
        self._handlers: tuple[Callable[[DomainEvent], None], ...] = ()
        self._changes: dict[str, threading.Event] = {}

    def add_host(self, name: str, address: str) -> MemoryHost:
        """Add a host; change its fields to cause faults."""
        with self.lock:
            host = self._hosts[name] = self._by_address[address] = MemoryHost(name, address)
            return host

    def at(self, endpoint: HostEndpoint) -> MemoryHost:
        """Return the host at that address, after applying all that is due by now."""
        self._finish_due()
        host = self._by_address.get(endpoint.address)
        if host is None:
            raise HostUnreachableError(f"there is no host {endpoint.name} at {endpoint.address}")
        return host

    def trouble(self, endpoint: HostEndpoint) -> str | None:
        """Return the reason why the host is unreachable; None if it is reachable."""
        try:
            host = self.at(endpoint)
        except HostUnreachableError as error:
            return error.detail
        return None if host.reachable else f"libvirt on host {endpoint.name} did not answer"

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        """Call `handler` for every event, in the thread that causes it."""
        with self.lock:
            self._handlers += (handler,)

    def pass_time(self, seconds: float) -> None:
        """Wait `seconds` on the clock."""
        if seconds > 0:
            self.clock.wait(threading.Event(), seconds)

    def change_of(self, vm_id: str) -> threading.Event:
        """Return an event that is set at the next event of this VM on any host."""
        with self.lock:
            return self._changes.setdefault(vm_id, threading.Event())

    def emit(self, host: MemoryHost, vm_id: str, kind: str) -> None:
        """Emit an event: wake the VM's waiters; call handlers if the host is reachable."""
        with self.lock:
            changed = self._changes.pop(vm_id, None)
            handlers = self._handlers if host.reachable else ()
        if changed is not None:
            changed.set()
        for handler in handlers:
            handler(DomainEvent(host.name, vm_id, kind))

    def end_domain(self, host_name: str, vm_id: str, kind: str) -> None:
        """End a domain, if it exists: `kind` "stopped" (powered off) or "crashed"."""
        host = self._hosts[host_name]
        with self.lock:
            ended = host.domains.pop(vm_id, None)
            self._drop_hardware(host, vm_id)
        if ended is not None:
            self.emit(host, vm_id, kind)

    def stall(self, host_name: str, vm_id: str) -> None:
        """Stop the guest at a failed write, as `error_policy='stop'` does."""
        host = self._hosts[host_name]
        with self.lock:
            host.domains[vm_id] = replace(host.domains[vm_id], state="io_error")
        self.emit(host, vm_id, "io_error")

    def lose_host(self, host_name: str) -> None:
        """Cut the host's power: its domains are gone without events."""
        with self.lock:
            host = self._hosts[host_name]
            host.reachable = False
            for vm_id in list(host.domains):
                self._drop_hardware(host, vm_id)
            host.domains.clear()

    def begin_move(self, source: MemoryHost, target: MemoryHost, spec: DomainSpec) -> Move:
        """Begin a migration that ends by the clock."""
        with self.lock:
            move = Move(source, target, spec, ends_s=self.clock.monotonic() + source.migration_s)
            self.moves[spec.vm_id] = move
            return move

    def cancel(self, vm_id: str) -> None:
        """Cancel a move under way: the guest stays where it is."""
        with self.lock:
            move = self.moves.pop(vm_id, None)
        if move is not None:
            move.failure = "it was cancelled"
            move.ended.set()

    def _finish_due(self) -> None:
        news: list[tuple[MemoryHost, str, str]] = []
        with self.lock:
            now = self.clock.monotonic()
            for move in [move for move in self.moves.values() if move.ends_s <= now]:
                del self.moves[move.spec.vm_id]
                news += [(host, move.spec.vm_id, kind) for host, kind in self._finish(move)]
                move.ended.set()
        for host, vm_id, kind in news:
            self.emit(host, vm_id, kind)

    def _finish(self, move: Move) -> list[tuple[MemoryHost, str]]:
        """Move the domain as the switched faults allow; return the events to emit."""
        state = move.source.domains.get(move.spec.vm_id)
        broken = move.source.migration == "fails" or not (move.source.reachable and move.target.reachable)
        if state is None or broken:
            move.failure = "the connection to the target broke" if state else "the guest ended meanwhile"
            return []
        spec, hardware = move.spec, move.source.hardware[move.spec.vm_id]
        move.target.domains[spec.vm_id] = replace(state, name=spec.name, epoch=spec.epoch, job_id=spec.job_id)
        disks = hardware.disks | {disk.target: disk for disk in spec.disks if disk.target in hardware.disks}
        move.target.hardware[spec.vm_id] = Hardware(hardware.spec, disks, dict(hardware.sizes_bytes))
        if move.source.migration == "hand_over_lost":
            return [(move.target, "started"), (move.target, "resumed"), (move.source, "resumed")]
        del move.source.domains[move.spec.vm_id]
        self._drop_hardware(move.source, move.spec.vm_id)
        return [(move.source, "migrated"), (move.target, "started"), (move.target, "resumed")]

    def _drop_hardware(self, host: MemoryHost, vm_id: str) -> None:
        hardware = host.hardware.pop(vm_id, None)
        if hardware is not None:
            hardware.console.set()
