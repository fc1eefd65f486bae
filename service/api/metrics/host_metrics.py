"""Host metrics for Prometheus: capacity, allocations, load and Ceph state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from service.db.tables import Host

MIB = 1 << 20
Value = Callable[[Host], float | None]


def families(hosts: Sequence[Host]) -> list[Metric]:
    """Return all gauges of all hosts; unknown values are left out."""
    return [_family(name, text, value, hosts) for name, text, value in GAUGES]


def _family(name: str, text: str, value: Value, hosts: Sequence[Host]) -> Metric:
    family = GaugeMetricFamily(f"nacre_host_{name}", text, labels=("host",))
    for host in hosts:
        number = value(host)
        if isinstance(number, int | float):
            family.add_metric((host.name,), number)
    return family


def _seen(column: str, name: str, times: float = 1) -> Value:
    def value(host: Host) -> float | None:
        seen: Any = (getattr(host, column) or {}).get(name)
        return seen * times if isinstance(seen, int | float) else None

    return value


GAUGES: tuple[tuple[str, str, Value], ...] = (
    ("vcpus", "vCPUs in the inventory.", lambda host: host.vcpus),
    ("memory_bytes", "Memory in the inventory.", lambda host: host.memory_mib * MIB),
    ("allocated_vcpus", "vCPUs allocated to VMs.", lambda host: host.allocated_vcpus),
    ("allocated_memory_bytes", "Memory allocated to VMs.", lambda host: host.allocated_memory_mib * MIB),
    ("vms", "VMs with an allocation on the host.", lambda host: host.vm_count),
    ("cpu_ratio", "Busy share of the host's CPUs, 0 to 1.", _seen("facts", "cpu_load")),
    ("cpu_average_ratio", "Busy share of the CPUs, average of the last day.", _seen("usage", "cpu_average")),
    ("cpu_peak_ratio", "Busy share of the CPUs, 95th percentile of the last day.", _seen("usage", "cpu_peak")),
    ("cpu_forecast_ratio", "Busy share of the CPUs, forecast of the next four hours.", _seen("usage", "cpu_forecast")),
    ("ceph_cpu_ratio", "Share of the CPUs that was neither idle nor used by guests.", _seen("usage", "ceph_cpu")),
    ("memory_used_bytes", "Memory in use.", _seen("usage", "memory_used_mib", MIB)),
    ("ksm_saved_bytes", "Memory saved by merging equal pages (KSM).", _seen("usage", "ksm_saved_mib", MIB)),
    ("osds", "OSDs on the host.", _seen("storage", "osds")),
    ("osds_up", "OSDs on the host that are up.", _seen("storage", "osds_up")),
    (
        "osd_latency_seconds",
        "Latency of the slowest OSD; idle OSDs report none.",
        _seen("storage", "op_latency_ms", 1e-3),
    ),
    ("slow_ops", "Slow requests on the host's OSDs.", _seen("storage", "slow_ops")),
    ("pgs_degraded", "Degraded placement groups on the host.", _seen("storage", "pgs_degraded")),
    ("pgs_recovering", "Placement groups that recover or wait for it.", _seen("storage", "pgs_recovering")),
)
