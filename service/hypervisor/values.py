"""Frozen values that a hypervisor returns, with units in their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.facts.host import HostHardware

DomainStateName = Literal["running", "paused", "shutting_down", "crashed", "io_error"]


@dataclass(frozen=True, slots=True)
class HostEndpoint:
    """Address of a host's hypervisor."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class DomainState:
    """A domain observed on a host.

    `epoch` and `job_id` come from the metadata that Nacre wrote; None on a foreign domain.
    """

    vm_id: str
    name: str
    state: DomainStateName
    vcpus: int
    memory_mib: int
    cpu_time_s: float
    epoch: int | None
    job_id: str | None


@dataclass(frozen=True, slots=True)
class HypervisorFacts(HostHardware):
    """A host's hardware, and what a start and a check need of its hypervisor."""

    machine: str = ""  # newest versioned q35 machine type
    kvm_offered: bool = False  # as libvirt reports it; probe_virt_type() tests it


@dataclass(frozen=True, slots=True)
class HostCounters:
    """Load counters of a host.

    Seconds of CPU time are sums over its CPUs since it started; waiting for a disk counts as idle. `memory_used_mib`
    is neither free nor file cache; `ksm_saved_mib` is saved by merging equal pages (KSM), None where KSM is off.
    """

    cpus: int
    busy_s: float
    total_s: float
    memory_mib: int
    memory_used_mib: int
    ksm_saved_mib: int | None


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """Progress of a migration in bytes of memory; `phase` is "copying" or "switching"."""

    phase: str
    processed_bytes: int
    remaining_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """Statistics of a finished migration.

    `downtime_ms` is None when the hypervisor no longer has it.
    """

    total_ms: int
    downtime_ms: int | None
    transferred_bytes: int | None


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """An event of a domain on a host.

    `kind`: started, resumed, suspended, stopped (powered off, or ended by a call), migrated (to another host),
    crashed (ended neither by the guest nor by a call), io_error, rebooted.
    """

    host: str
    vm_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Display:
    """Address of a domain's VNC server."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """Counters of one disk since the domain started.

    `target` is as in DiskSpec; times are sums over all requests.
    """

    target: str
    read_bytes: int
    read_requests: int
    read_time_s: float
    written_bytes: int
    write_requests: int
    write_time_s: float
    flush_requests: int
    capacity_bytes: int


@dataclass(frozen=True, slots=True)
class NicStatistics:
    """Counters of one network card since the domain started, from the guest's side.

    `device` is its name on the host (vnet0).
    """

    device: str
    received_bytes: int
    received_packets: int
    received_errors: int
    received_drops: int
    sent_bytes: int
    sent_packets: int
    sent_errors: int
    sent_drops: int


@dataclass(frozen=True, slots=True)
class MemoryStatistics:
    """Memory of a domain in bytes.

    `current` is what the guest has now, `maximum` its configured size, `resident` the host memory that QEMU holds.
    Values that come from the guest's balloon driver are None until it has reported.
    """

    current_bytes: int
    maximum_bytes: int
    resident_bytes: int
    available_bytes: int | None
    unused_bytes: int | None
    usable_bytes: int | None


@dataclass(frozen=True, slots=True)
class DomainStatistics:
    """Counters of a domain. They start at 0 on every host it is migrated to.

    `vcpu_times_s` has one value per vCPU present.
    """

    vm_id: str
    name: str  # libvirt's own name of the domain
    state: DomainStateName | None  # None when it is just ending
    cpu_time_s: float
    vcpu_times_s: tuple[float, ...]
    memory: MemoryStatistics | None  # None when the domain was busy
    disks: tuple[DiskStatistics, ...]
    nics: tuple[NicStatistics, ...]
