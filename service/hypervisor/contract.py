"""Contract of hypervisors, one object per host; its suite is in tests/contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Protocol

from service.hypervisor.findings import Expectations, HostReport
from service.hypervisor.foreign import ForeignDomain
from service.hypervisor.spec import DiskSpec, DomainSpec, VirtType
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
    """Open serial console; one thread reads, another may write, any may close."""

    def read(self, timeout_s: float) -> bytes:
        """Return the guest's new output; b"" if there is none within `timeout_s` seconds.

        Raises ConsoleClosedError if no more output can come: the guest stopped or migrated, another client opened the
        console, or the host is unreachable.
        """

    def write(self, data: bytes) -> None:
        """Send `data` as input. Raises ConsoleClosedError."""

    def close(self) -> None:
        """Close the console; may be repeated."""


class Devices(Protocol):
    """Changes of a running domain, live only, complete when the call returns.

    All but detach_disk raise DomainNotFoundError if there is no such domain, and DomainRefusedError with the
    hypervisor's message.
    """

    def attach_disk(self, vm_id: str, disk: DiskSpec) -> None:
        """Attach a disk on bus "virtio" or "scsi".

        The same source at the same target counts as done.
        """

    def detach_disk(self, vm_id: str, target: str) -> None:
        """Unplug a disk and wait for the guest; no error if disk or domain is absent.

        Raises DetachRefusedError if the guest has not released it in time; it may do so later, so retry.
        """

    def grow_disk(self, vm_id: str, target: str, size_bytes: int) -> None:
        """Set the size of a disk whose volume has grown, visible in the guest.

        Raises DomainRefusedError for a smaller size.
        """

    def change_medium(self, vm_id: str, disk: DiskSpec) -> None:
        """Insert an image into the CD-ROM drive `disk.target`, or eject it.

        Ejects if `disk.source` is None. A locked tray is opened by force: the guest's reads of
        the old medium then fail.
        """

    def set_vcpus(self, vm_id: str, vcpus: int) -> None:
        """Set the number of vCPUs, up to the maximum of the domain's start.

        The guest must bring new vCPUs online. vCPUs cannot be removed from a running guest: QEMU 7.2 under TCG does
        not migrate afterwards. Raises HotAddRefusedError: the change is for the next start.
        """

    def set_memory(self, vm_id: str, memory_mib: int) -> None:
        """Set the total memory, up to the maximum of the domain's start.

        Memory is added in steps of 128 MiB. It cannot be removed from a running guest. Raises
        HotAddRefusedError: the change is for the next start.
        """

    def set_title(self, vm_id: str, name: str) -> None:
        """Set the VM's name, as returned by domain()."""


class Screen(Protocol):
    """Screen and consoles of a running domain. All calls raise DomainNotFoundError."""

    def set_vnc_password(self, vm_id: str, password: str | None, *, expires_at: datetime | None = None) -> None:
        """Set the VNC password (1 to 8 ASCII characters), or lock VNC (None).

        The password is valid until `expires_at` (timezone-aware; None: until it is changed). Open connections stay
        open. A migration and a start lock VNC again.
        """

    def display(self, vm_id: str) -> Display | None:
        """Return the address of VNC; None if the domain has no screen."""

    def screenshot(self, vm_id: str) -> bytes:
        """Return the screen as a PNG."""

    def open_console(self, vm_id: str) -> Console:
        """Open the serial console; closes an earlier connection."""


class Hypervisor(Devices, Screen, Protocol):
    """Hypervisor of one host; past a deadline, calls raise HostUnreachableError."""

    def facts(self) -> HypervisorFacts:
        """Return the host's hardware and versions, which seldom change."""

    def counters(self) -> HostCounters:
        """Return the host's load counters; cheap enough to poll."""

    def domains(self) -> tuple[DomainState, ...]:
        """Return every domain on the host, Nacre's or not, in one call."""

    def domain(self, vm_id: str) -> DomainState | None:
        """Return a domain; None if the host has none of that UUID."""

    def statistics(self) -> tuple[DomainStatistics, ...]:
        """Return counters of every domain on the host, Nacre's or not, in one call.

        Does not wait for busy domains.
        """

    def start(self, spec: DomainSpec, *, paused: bool = False) -> DomainState:
        """Start a transient domain, optionally paused before its first instruction.

        An existing domain of the same UUID and epoch counts as done, in whatever state it is.

        Raises DomainConflictError (same UUID, another epoch), DomainRefusedError (with the hypervisor's message).
        """

    def shut_down(self, vm_id: str) -> None:
        """Ask the guest to power off (ACPI and agent) and return; no error if absent."""

    def force_off(self, vm_id: str) -> None:
        """Destroy the domain and return when it is gone; no error if absent."""

    def reset(self, vm_id: str) -> None:
        """Reset the domain without its guest's help. Raises DomainNotFoundError."""

    def suspend(self, vm_id: str) -> None:
        """Pause the vCPUs; no error if paused already. Raises DomainNotFoundError."""

    def resume(self, vm_id: str) -> None:
        """Resume the vCPUs; no error if running already.

        Raises DomainNotFoundError, DomainRefusedError.
        """

    def wait_stopped(self, vm_id: str, *, timeout_s: float) -> bool:
        """Wait until the domain is gone, by event; return False after `timeout_s`."""

    def migrate(
        self,
        target: HostEndpoint,
        spec: DomainSpec,
        *,
        progress: Callable[[MigrationProgress], None],
    ) -> MigrationReport:
        """Migrate the running domain `spec.vm_id` to `target` live, memory only, over TLS.

        `spec` is the domain on the target. A migration that is in progress already (its caller crashed) is followed to
        its end; a domain that already runs on the target counts as done. Both hosts are read before the outcome is
        reported. Raises MigrationFailedError if the guest stayed on the source and runs; DomainNotFoundError if it is
        on neither host; MigrationUnclearError if the outcome is not known yet (call again); DomainTwiceError if it runs
        on both.
        """

    def cancel_migration(self, vm_id: str) -> None:
        """Cancel a migration in progress; no error if there is none."""

    def probe_virt_type(self) -> VirtType:
        """Return "kvm" if a tiny kernel boots to its init with KVM, else "qemu"."""

    def definition(self, vm_id: str) -> ForeignDomain:
        """Return the definition of a foreign domain. Raises DomainNotFoundError."""

    def take_over(self, spec: DomainSpec) -> None:
        """Mark a running domain as Nacre's and remove its persistent definition.

        May be repeated. Raises DomainNotFoundError, DomainRefusedError.
        """

    def preflight(self, want: Expectations) -> HostReport:
        """Check every requirement on the host; a failure is a finding, never an error."""


class Hypervisors(Protocol):
    """Hypervisors of all hosts of the cloud."""

    def on(self, endpoint: HostEndpoint) -> Hypervisor:
        """Return the hypervisor of one host; the first call on it connects."""

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        """Call `handler`, in a driver thread, for every domain event of connected hosts."""

    def reach(self, endpoints: Collection[HostEndpoint]) -> Mapping[HostEndpoint, str | None]:
        """Probe hosts concurrently; return None for a reachable host, else the problem.

        Ends within a deadline, however many hosts there are. An unreachable host blocks no resource of this process, so
        use this for hosts that did not respond before.
        """

    def keep(self, endpoints: Collection[HostEndpoint]) -> None:
        """Close idle connections to hosts other than `endpoints`."""

    def close(self) -> None:
        """Close all connections."""
