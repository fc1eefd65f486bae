"""The state behind the memory hypervisors: hosts, domains, moves under way, and the switches that make things fail.

Time comes from outside. A move ends by the clock, not by the thread that began it: like libvirt's, it outlives its
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
    """Time as the context hands it down."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set; False when it is not after `timeout_s`."""


def _plain_facts() -> HypervisorFacts:
    return HypervisorFacts(
        cpus=4,
        memory_mib=8192,
        cpu_model="Nehalem",
        cpu_features=(),
        machine="pc-q35-7.2",
        libvirt_version="9.0.0",
        qemu_version="7.2.22",
        kvm_offered=True,
        firmwares=("bios", "uefi"),
    )


@dataclass(slots=True)
class Hardware:
    """What a running domain is made of by now. The password does not follow it to another host."""

    spec: DomainSpec  # as it was started
    disks: dict[str, DiskSpec]  # by target
    sizes_bytes: dict[str, int] = field(default_factory=dict)  # by target, as far as disks were grown
    vnc_password: str | None = None
    vnc_expires_at: datetime | None = None
    console: threading.Event = field(default_factory=threading.Event)  # set when whoever has it open loses it

    @classmethod
    def of(cls, spec: DomainSpec) -> Hardware:
        """A domain that has just started."""
        return cls(spec=spec, disks={disk.target: disk for disk in spec.disks})


@dataclass(slots=True)
class MemoryHost:
    """One pretended host. Everything but `name` and `address` may be changed at any time: that is how things fail."""

    name: str
    address: str
    facts: HypervisorFacts = field(default_factory=_plain_facts)
    virt_type: VirtType = "qemu"
    reachable: bool = True
    silence_s: float = 0.0  # how long a call to an unreachable host takes to fail
    answer_s: float = 0.0  # how long any other call takes
    busy_s: float = 0.0  # of CPU time, beside the guests'
    memory_used_mib: int = 0  # beside the guests'
    ksm_saved_mib: int | None = None
    refuses: str | None = None  # why it starts nothing
    guests_ignore_power_button: bool = False
    guests_keep_disks: bool = False  # they never let go of one
    guests_keep_size: bool = False  # neither a processor nor memory can be added
    start_s: float = 0.0
    uuid: str = ""  # what its libvirt calls itself
    findings: tuple[Finding, ...] = ()  # of a look before its use, beside that it answers
    migration: MigrationEnd = "works"  # of moves that begin here
    migration_s: float = 0.0
    domains: dict[str, DomainState] = field(default_factory=dict)
    foreign: dict[str, ForeignDomain] = field(default_factory=dict)  # what others made, by id; of the domains above
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
        """What there is to copy."""
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
        """A new host; change its fields to make it fail."""
        with self.lock:
            host = self._hosts[name] = self._by_address[address] = MemoryHost(name, address)
            return host

    def at(self, endpoint: HostEndpoint) -> MemoryHost:
        """The host at that address, with everything that is due by now done."""
        self._finish_due()
        host = self._by_address.get(endpoint.address)
        if host is None:
            raise HostUnreachableError(f"there is no host {endpoint.name} at {endpoint.address}")
        return host

    def trouble(self, endpoint: HostEndpoint) -> str | None:
        """Why the host would not answer; None when it would."""
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
        """Let `seconds` go by on the clock."""
        if seconds > 0:
            self.clock.wait(threading.Event(), seconds)

    def change_of(self, vm_id: str) -> threading.Event:
        """Set at the next event of this VM, wherever it is."""
        with self.lock:
            return self._changes.setdefault(vm_id, threading.Event())

    def tell(self, host: MemoryHost, vm_id: str, kind: str) -> None:
        """An event: wake those who wait for this VM, and hand it on unless the host is cut off."""
        with self.lock:
            changed = self._changes.pop(vm_id, None)
            handlers = self._handlers if host.reachable else ()
        if changed is not None:
            changed.set()
        for handler in handlers:
            handler(DomainEvent(host.name, vm_id, kind))

    def end_domain(self, host_name: str, vm_id: str, kind: str) -> None:
        """A domain ends: `kind` "stopped" (powered off) or "crashed". Silent when there is none."""
        host = self._hosts[host_name]
        with self.lock:
            ended = host.domains.pop(vm_id, None)
            self._drop_hardware(host, vm_id)
        if ended is not None:
            self.tell(host, vm_id, kind)

    def stall(self, host_name: str, vm_id: str) -> None:
        """The guest stops at a failed write, as `error_policy='stop'` has it."""
        host = self._hosts[host_name]
        with self.lock:
            host.domains[vm_id] = replace(host.domains[vm_id], state="io_error")
        self.tell(host, vm_id, "io_error")

    def lose_host(self, host_name: str) -> None:
        """The host loses power: its domains are gone and nobody hears of it."""
        with self.lock:
            host = self._hosts[host_name]
            host.reachable = False
            for vm_id in list(host.domains):
                self._drop_hardware(host, vm_id)
            host.domains.clear()

    def begin_move(self, source: MemoryHost, target: MemoryHost, spec: DomainSpec) -> Move:
        """A migration that ends by the clock, whoever looks then."""
        with self.lock:
            move = Move(source, target, spec, ends_s=self.clock.monotonic() + source.migration_s)
            self.moves[spec.vm_id] = move
            return move

    def cancel(self, vm_id: str) -> None:
        """The guest of a move under way stays where it is."""
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
            self.tell(host, vm_id, kind)

    def _finish(self, move: Move) -> list[tuple[MemoryHost, str]]:
        """Move the domain as the faults of the day allow; the events to tell."""
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
