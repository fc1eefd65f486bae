"""What a hypervisor promises: one object per host. tests/contract runs the same suite on every implementation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from service.hypervisor.spec import DomainSpec, VirtType

DomainStateName = Literal["running", "paused", "shutting_down", "crashed", "io_error"]


@dataclass(frozen=True, slots=True)
class HostEndpoint:
    """Where a host's hypervisor is reached."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class DomainState:
    """A domain seen on a host. `epoch` and `job_id` are from the metadata that Nacre wrote; None on a foreign one."""

    vm_id: str
    name: str
    state: DomainStateName
    vcpus: int
    memory_mib: int
    cpu_time_s: float
    epoch: int | None
    job_id: str | None


@dataclass(frozen=True, slots=True)
class HypervisorFacts:
    """What a host says of itself. In a shared machine libvirt reports the whole computer: the inventory caps it."""

    cpus: int
    memory_mib: int
    cpu_model: str
    cpu_features: tuple[str, ...]
    machine: str  # newest versioned q35 machine type
    libvirt_version: str
    qemu_version: str
    kvm_offered: bool  # what libvirt claims; probe_virt_type() finds out


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """Bytes of memory; `phase` is "copying" or "switching"."""

    phase: str
    processed_bytes: int
    remaining_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a finished migration took. `downtime_ms` is None when the hypervisor no longer knows."""

    total_ms: int
    downtime_ms: int | None
    transferred_bytes: int | None


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something happened to a domain on a host.

    `kind`: started, resumed, suspended, stopped (powered off, or ended by a call), migrated (it left for another host),
    crashed (neither the guest nor a call wanted its end), io_error, rebooted.
    """

    host: str
    vm_id: str
    kind: str


class Hypervisor(Protocol):
    """The domains of one host. Every call ends within a deadline, with hypervisor.errors.HostUnreachableError."""

    def facts(self) -> HypervisorFacts:
        """Numbers about the host itself."""

    def domains(self) -> tuple[DomainState, ...]:
        """Every domain on the host, Nacre's or not, in one call."""

    def domain(self, vm_id: str) -> DomainState | None:
        """One domain; None when the host has none of that UUID."""

    def start(self, spec: DomainSpec) -> DomainState:
        """Create a transient domain. One of the same UUID and epoch that is there already counts as done.

        Raises DomainConflictError (same UUID, another epoch), DomainRefusedError (what the hypervisor said).
        """

    def shut_down(self, vm_id: str) -> None:
        """Ask the guest to power off (ACPI and agent); returns at once. Silent when there is no such domain."""

    def force_off(self, vm_id: str) -> None:
        """End the domain now; returns when it is gone. Silent when there is no such domain."""

    def reset(self, vm_id: str) -> None:
        """Hard reset. Raises DomainNotFoundError."""

    def wait_stopped(self, vm_id: str, *, timeout_s: float) -> bool:
        """Wait (by event) until the domain is gone; False when it is still there after `timeout_s`."""

    def migrate(
        self,
        target: HostEndpoint,
        spec: DomainSpec,
        *,
        progress: Callable[[MigrationProgress], None],
    ) -> MigrationReport:
        """Move the running domain `spec.vm_id` to `target` live, memory only, peer to peer over TLS.

        `spec` is the domain as the target shall have it. A migration that is under way already (its caller died) is
        followed to its end; a domain that runs on the target already counts as done. Both hosts are looked at before
        anything is said. Raises MigrationFailedError when the guest stayed here and runs on; DomainNotFoundError when
        it is in neither place; MigrationUnclearError when that cannot be settled yet (call again); DomainTwiceError
        when it runs on both.
        """

    def cancel_migration(self, vm_id: str) -> None:
        """Stop a migration under way; silent when there is none."""

    def probe_virt_type(self) -> VirtType:
        """Boot a tiny kernel with KVM and believe what happened: "kvm" when it reached its init, else "qemu"."""


class Hypervisors(Protocol):
    """All hosts of the cloud."""

    def on(self, endpoint: HostEndpoint) -> Hypervisor:
        """The hypervisor of one host. Never connects by itself: the first call does."""

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        """Call `handler` (from a thread of the driver) for every domain event of every host connected to."""

    def close(self) -> None:
        """Drop all connections."""
