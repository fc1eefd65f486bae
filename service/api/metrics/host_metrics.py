"""Hosts for Prometheus: what they are seen to use, what is promised on them, what Ceph goes through there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from service.db.tables import Host

MIB = 1 << 20
Value = Callable[[Host], float | None]


def families(hosts: Sequence[Host]) -> list[Metric]:
    """All gauges of all hosts; a number that is not known is left out."""
    return [_family(name, told, value, hosts) for name, told, value in GAUGES]


def _family(name: str, told: str, value: Value, hosts: Sequence[Host]) -> Metric:
    family = GaugeMetricFamily(f"nacre_host_{name}", told, labels=("host",))
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
    ("vcpus", "vCPUs that the inventory grants.", lambda host: host.vcpus),
    ("memory_bytes", "Memory that the inventory grants.", lambda host: host.memory_mib * MIB),
    ("promised_vcpus", "vCPUs promised to VMs.", lambda host: host.allocated_vcpus),
    ("promised_memory_bytes", "Memory promised to VMs.", lambda host: host.allocated_memory_mib * MIB),
    ("vms", "VMs that hold capacity here.", lambda host: host.vm_count),
    ("cpu_ratio", "Share of its CPUs that is busy.", _seen("facts", "cpu_load")),
    ("cpu_average_ratio", "The same, over the last day.", _seen("usage", "cpu_average")),
    ("cpu_peak_ratio", "The same, 95th percentile of the last day.", _seen("usage", "cpu_peak")),
    ("cpu_forecast_ratio", "The same, expected of the coming four hours.", _seen("usage", "cpu_forecast")),
    ("ceph_cpu_ratio", "Share of its CPUs that neither guests nor idle took.", _seen("usage", "ceph_cpu")),
    ("memory_used_bytes", "Memory in use.", _seen("usage", "memory_used_mib", MIB)),
    ("ksm_saved_bytes", "Memory that equal pages save.", _seen("usage", "ksm_saved_mib", MIB)),
    ("osds", "OSDs on it.", _seen("storage", "osds")),
    ("osds_up", "OSDs on it that are up.", _seen("storage", "osds_up")),
    (
        "osd_latency_seconds",
        "Latency of its slowest OSD; idle OSDs tell none.",
        _seen("storage", "op_latency_ms", 1e-3),
    ),
    ("slow_ops", "Requests that its OSDs are slow to answer.", _seen("storage", "slow_ops")),
    ("pgs_degraded", "Placement groups here that lack a copy.", _seen("storage", "pgs_degraded")),
    ("pgs_recovering", "Placement groups here that recover or wait for it.", _seen("storage", "pgs_recovering")),
)
