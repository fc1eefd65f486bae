"""Facts of a host: hardware, load, storage and usage. A new fact is a field here; lists of facts are derived from it.

The API's models, the metrics, the history and the stored JSON follow the fields (docs/reference/host-facts.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from service.facts.fact import fact

NO_SHARES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class NumaCell:
    """CPUs of a host that are near the same memory."""

    number: int = 0
    cpus: int = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class HostLink:
    """A network card of a host; its speed is null when the card does not report it."""

    name: str = ""
    up: bool = False
    speed_mbit: int | None = None


@dataclass(frozen=True, slots=True)
class HostHardware:
    """Hardware and software of a host as its hypervisor reports them. null: not reported, or not observed yet.

    Where several machines share one computer, libvirt reports the whole computer: the inventory caps it.
    """

    cpu_model: str | None = fact(None, help="CPU model as libvirt names it.")
    cpus: int | None = fact(None, unit="count", help="Threads of its processors.")
    memory_mib: int | None = fact(None, unit="mib", help="Installed memory.")
    numa: tuple[NumaCell, ...] | None = fact(None, help="NUMA cells.")
    firmwares: frozenset[str] | None = fact(None, help="Firmwares that it can start guests with: bios, uefi.")
    bridges: frozenset[str] | None = fact(None, help="Bridges; null: libvirt cannot list them.")
    links: tuple[HostLink, ...] | None = fact(None, help="Network cards.")
    local_disk_free_bytes: int | None = fact(
        None, unit="bytes", noisy=True, help="Free in the largest active libvirt pool in a folder; null: none."
    )
    boot_time: int | None = fact(
        None, unit="epoch_s", noisy=True, metric="boot_time_seconds", help="Instant when its kernel booted, estimated."
    )
    libvirt_version: str | None = fact(None, help="Version of libvirt.")
    qemu_version: str | None = fact(None, help="Version of QEMU.")
    # Not shown: a list of hosts is read often, and these are a hundred names.
    cpu_features: frozenset[str] = fact(frozenset(), shown=False, help="CPU features, those of the model included.")


@dataclass(frozen=True, slots=True)
class HostLoad:
    """Load of a host at its last observation. Shares are of its CPUs; null until two observations are compared."""

    cpu_load: float | None = fact(
        None, unit="share", noisy=True, metric="cpu_ratio", series="cpu", help="Share of its CPUs that is busy."
    )
    guest_cpu_load: float | None = fact(
        None, unit="share", noisy=True, help="Share of its CPUs that guests use, QEMU's own work included."
    )
    ceph_cpu: float | None = fact(
        None, unit="share", noisy=True, series="ceph_cpu", help="Share of its CPUs that neither guests nor idle took."
    )
    memory_used_mib: int | None = fact(
        None, unit="mib", noisy=True, series="memory_used_mib", help="Memory in use: neither free nor file cache."
    )
    ksm_saved_mib: int | None = fact(
        None,
        unit="mib",
        noisy=True,
        series="ksm_saved_mib",
        help="Memory that merging equal pages saves; null: KSM is off.",
    )
    domains: int = fact(0, unit="count", help="Domains that run there, Nacre's or not.")
    used_vcpus: int = fact(0, unit="count", help="vCPUs of these domains.")
    used_memory_mib: int = fact(0, unit="mib", help="Memory of these domains.")


@dataclass(frozen=True, slots=True)
class HostStorage:
    """Ceph load on one host. Milliseconds are averages over the last observations; null: idle, no data."""

    osds: int = fact(0, unit="count", metric="osds", help="OSDs on it.")
    osds_up: int = fact(0, unit="count", metric="osds_up", help="OSDs on it that are up.")
    op_latency_ms: float | None = fact(
        None,
        unit="ms",
        metric="osd_latency_seconds",
        series="osd_latency_ms",
        help="Commit latency of its slowest OSD; idle OSDs report none.",
    )
    slow_ops: int = fact(0, unit="count", metric="slow_ops", help="Requests that its OSDs are slow to complete.")
    ping_ms: float | None = fact(
        None, unit="ms", help="Heartbeats between its OSDs and those of the median other host."
    )
    pgs: int = fact(0, unit="count", help="Placement groups with a copy here.")
    pgs_degraded: int = fact(
        0, unit="count", metric="pgs_degraded", help="Placement groups with a copy here that lack a copy."
    )
    pgs_recovering: int = fact(
        0,
        unit="count",
        metric="pgs_recovering",
        help="Placement groups with a copy here that recover, backfill or wait for it.",
    )
    local_reads: Mapping[str, float] = fact(
        NO_SHARES, help="Pool name to the share of its placement groups with a copy here."
    )
    osd_memory_mib: int = fact(0, unit="mib", help="Sum of osd_memory_target of its OSDs.")


@dataclass(frozen=True, slots=True)
class HostUsage:
    """Usage of a host over time. Shares are of its CPUs, 0 to 1; null where too little is known."""

    cpu_average: float | None = fact(
        None, unit="share", metric="cpu_average_ratio", help="Share of its CPUs that was busy over the last 24 hours."
    )
    cpu_peak: float | None = fact(
        None,
        unit="share",
        metric="cpu_peak_ratio",
        help="Share of its CPUs that was busy, 95th percentile of the last 24 hours.",
    )
    cpu_forecast: float | None = fact(
        None,
        unit="share",
        metric="cpu_forecast_ratio",
        help="Share of its CPUs that is forecast to be busy in the coming four hours.",
    )
    ceph_cpu: float | None = fact(
        None,
        unit="share",
        metric="ceph_cpu_ratio",
        help="Share of its CPUs that neither guests nor idle took, over the last minute.",
    )
    memory_used_mib: int | None = fact(None, unit="mib", metric="memory_used_bytes", help="Memory in use.")
    ksm_saved_mib: int | None = fact(
        None, unit="mib", metric="ksm_saved_bytes", help="Memory that merging equal pages saves."
    )


# Column of the table `host` → the value that it stores; `facts` holds strays and foreign domains beside the load.
COLUMNS: Mapping[str, type] = {
    "facts": HostLoad,
    "usage": HostUsage,
    "storage": HostStorage,
    "hardware": HostHardware,
}
