"""What a hypervisor answers with: frozen values, units in their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
class NumaCell:
    """A part of a host whose CPUs are near its memory."""

    number: int
    cpus: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class HostLink:
    """A network card of a host. `speed_mbit` is None when the card does not tell."""

    name: str
    up: bool
    speed_mbit: int | None


@dataclass(frozen=True, slots=True)
class HypervisorFacts:
    """What a host says of itself. In a shared machine libvirt reports the whole computer: the inventory caps it."""

    cpus: int
    memory_mib: int
    cpu_model: str
    cpu_features: tuple[str, ...]  # all of them, those that the model stands for included
    machine: str  # newest versioned q35 machine type
    libvirt_version: str
    qemu_version: str
    kvm_offered: bool  # what libvirt claims; probe_virt_type() finds out
    firmwares: tuple[str, ...] = ("bios",)
    numa: tuple[NumaCell, ...] = ()
    bridges: tuple[str, ...] | None = None  # None: libvirt cannot tell
    links: tuple[HostLink, ...] = ()
    local_disk_free_bytes: int | None = None  # of the largest active storage pool in a folder; None: there is none


@dataclass(frozen=True, slots=True)
class HostCounters:
    """What a host is doing. Seconds of CPU time are sums over its CPUs since it started; waiting for a disk is idle.

    `memory_used_mib` is what neither is free nor caches files; `ksm_saved_mib` what merging equal pages saves, None
    where the host does not merge.
    """

    cpus: int
    busy_s: float
    total_s: float
    memory_mib: int
    memory_used_mib: int
    ksm_saved_mib: int | None


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


@dataclass(frozen=True, slots=True)
class Display:
    """Where a domain's VNC server listens."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class DiskStatistics:
    """One disk since the domain started. `target` as in DiskSpec; times are the sums over all requests."""

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
    """One card since the domain started, as the guest sees it; `device` is its name on the host (vnet0)."""

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
    """Bytes. What only the guest's balloon driver knows is None until it has spoken.

    `current` is what the guest has, `maximum` what it was given, `resident` what QEMU holds of the host's memory.
    """

    current_bytes: int
    maximum_bytes: int
    resident_bytes: int
    available_bytes: int | None
    unused_bytes: int | None
    usable_bytes: int | None


@dataclass(frozen=True, slots=True)
class DomainStatistics:
    """A domain's counters, which start at nought on every host it comes to. `vcpu_times_s`: one per vCPU present."""

    vm_id: str
    name: str  # libvirt's own name of the domain
    state: DomainStateName | None  # None when it is just ending
    cpu_time_s: float
    vcpu_times_s: tuple[float, ...]
    memory: MemoryStatistics | None  # None when the domain was busy
    disks: tuple[DiskStatistics, ...]
    nics: tuple[NicStatistics, ...]
