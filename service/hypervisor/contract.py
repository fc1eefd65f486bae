"""What a hypervisor promises: one object per host. tests/contract runs the same suite on every implementation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Protocol

from service.hypervisor.findings import Expectations, HostReport
from service.hypervisor.foreign import ForeignDomain
from service.hypervisor.spec import CephAccess, DiskSpec, DomainSpec, VirtType
from service.hypervisor.values import (
    Display,
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

__all__ = [
    "Console",
    "Devices",
    "Display",
    "DomainEvent",
    "DomainState",
    "DomainStateName",
    "DomainStatistics",
    "HostCounters",
    "HostEndpoint",
    "Hypervisor",
    "HypervisorFacts",
    "Hypervisors",
    "MigrationProgress",
    "MigrationReport",
    "Screen",
]


class Console(Protocol):
    """A serial console somebody has opened. One thread reads, another may write, any may close."""

    def read(self, timeout_s: float) -> bytes:
        """What the guest has said since, b"" when it is silent for `timeout_s`.

        Raises ConsoleClosedError once there is nothing more to come: the guest ended or moved, somebody else has
        opened its console, or the host is gone.
        """

    def write(self, data: bytes) -> None:
        """Type `data`. Raises ConsoleClosedError."""

    def close(self) -> None:
        """Let go of the console; may be repeated."""


class Devices(Protocol):
    """Changes of a running domain. All are live only, and over when they return; all but detach_disk raise
    DomainNotFoundError when there is no such domain, and DomainRefusedError with the hypervisor's own words."""

    def attach_disk(self, vm_id: str, disk: DiskSpec, ceph: CephAccess) -> None:
        """Plug in a disk, on bus "virtio" or "scsi". The same source at the same target already counts as done."""

    def detach_disk(self, vm_id: str, target: str) -> None:
        """Ask the guest to let go of a disk, wait until it is unplugged; silent when disk or domain is absent.

        Raises DetachRefusedError when the guest has not let go in time; it may still do so later, so ask again.
        """

    def grow_disk(self, vm_id: str, target: str, size_bytes: int) -> None:
        """Show the guest the new size of a disk whose volume has grown. Raises DomainRefusedError for a smaller one."""

    def change_medium(self, vm_id: str, disk: DiskSpec, ceph: CephAccess) -> None:
        """What lies in the CD-ROM drive `disk.target` from now on: another image, or none (pool and rbd_name None).

        Also when the guest has locked its tray: what it still reads of the old medium then fails.
        """

    def set_vcpus(self, vm_id: str, vcpus: int) -> None:
        """Have `vcpus` virtual processors, up to the ceiling the domain started with.

        The guest must bring new ones on line itself. None can be taken out of a running guest: QEMU 7.2 under TCG does
        not migrate afterwards. Raises HotAddRefusedError: the change is for the next start.
        """

    def set_memory(self, vm_id: str, memory_mib: int) -> None:
        """Have `memory_mib` in all, up to the ceiling the domain started with, added in whole 128 MiB.

        Memory cannot be taken out of a running guest. Raises HotAddRefusedError: the change is for the next start.
        """

    def set_title(self, vm_id: str, name: str) -> None:
        """The VM's name, as `domain()` tells it."""


class Screen(Protocol):
    """What a person sees of a running domain, and types. All raise DomainNotFoundError."""

    def set_vnc_password(self, vm_id: str, password: str | None, *, expires_at: datetime | None = None) -> None:
        """Open the VNC console to `password` (1 to 8 characters of ASCII) until `expires_at` (aware; None: until it is
        changed). None locks the console. Who is connected stays so. A move and a start lock it again.
        """

    def display(self, vm_id: str) -> Display | None:
        """Where VNC listens; None when the domain has no screen."""

    def screenshot(self, vm_id: str) -> bytes:
        """The screen as a PNG."""

    def open_console(self, vm_id: str) -> Console:
        """The serial console; whoever had it open before loses it."""


class Hypervisor(Devices, Screen, Protocol):
    """The domains of one host. Every call ends within a deadline, with hypervisor.errors.HostUnreachableError."""

    def facts(self) -> HypervisorFacts:
        """What the host is made of: it seldom changes."""

    def counters(self) -> HostCounters:
        """What the host is doing: cheap enough to be asked often."""

    def domains(self) -> tuple[DomainState, ...]:
        """Every domain on the host, Nacre's or not, in one call."""

    def domain(self, vm_id: str) -> DomainState | None:
        """One domain; None when the host has none of that UUID."""

    def statistics(self) -> tuple[DomainStatistics, ...]:
        """Counters of every domain on the host, Nacre's or not, in one call; it waits for no domain that is busy."""

    def start(self, spec: DomainSpec, *, paused: bool = False) -> DomainState:
        """Create a transient domain, `paused` before its first instruction if so asked.

        One of the same UUID and epoch that is there already counts as done, in whatever state it is by now.

        Raises DomainConflictError (same UUID, another epoch), DomainRefusedError (what the hypervisor said).
        """

    def shut_down(self, vm_id: str) -> None:
        """Ask the guest to power off (ACPI and agent); returns at once. Silent when there is no such domain."""

    def force_off(self, vm_id: str) -> None:
        """End the domain now; returns when it is gone. Silent when there is no such domain."""

    def reset(self, vm_id: str) -> None:
        """Hard reset. Raises DomainNotFoundError."""

    def suspend(self, vm_id: str) -> None:
        """Stop the guest's processors; silent when they stand still already. Raises DomainNotFoundError."""

    def resume(self, vm_id: str) -> None:
        """Let the guest go on; silent when it runs already. Raises DomainNotFoundError, DomainRefusedError."""

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

    def definition(self, vm_id: str) -> ForeignDomain:
        """What a domain that somebody else made consists of. Raises DomainNotFoundError."""

    def take_over(self, spec: DomainSpec) -> None:
        """Mark a running domain as Nacre's, and forget what libvirt keeps of it for a next start; may be repeated.

        Raises DomainNotFoundError, DomainRefusedError.
        """

    def preflight(self, want: Expectations) -> HostReport:
        """Try out all that the cloud needs of the host. What goes wrong is a finding, never an error."""


class Hypervisors(Protocol):
    """All hosts of the cloud."""

    def on(self, endpoint: HostEndpoint) -> Hypervisor:
        """The hypervisor of one host. Never connects by itself: the first call does."""

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        """Call `handler` (from a thread of the driver) for every domain event of every host connected to."""

    def reach(self, endpoints: Collection[HostEndpoint]) -> Mapping[HostEndpoint, str | None]:
        """Whether each of these hosts would answer, all tried at once: None, or what is wrong.

        Ends within a deadline, however many there are. A host that is silent holds nothing of this process meanwhile,
        so this is the way to ask for one that did not answer before.
        """

    def keep(self, endpoints: Collection[HostEndpoint]) -> None:
        """Drop the connections to all other hosts that nobody uses now: they are no longer the cloud's."""

    def close(self) -> None:
        """Drop all connections."""
