"""Host metrics for Prometheus: capacity, allocations, load and Ceph state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from service.db.tables import Host
from service.facts.fact import Unit, facts_of
from service.facts.host import COLUMNS

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
        seen = (getattr(host, column) or {}).get(name)
        return seen * times if isinstance(seen, int | float) else None

    return value


# Unit of a fact → factor to the metric's base unit.
BASE: Mapping[Unit, float] = {"mib": MIB, "ms": 1e-3}
GAUGES: tuple[tuple[str, str, Value], ...] = (
    ("vcpus", "vCPUs in the inventory.", lambda host: host.vcpus),
    ("memory_bytes", "Memory in the inventory.", lambda host: host.memory_mib * MIB),
    ("allocated_vcpus", "vCPUs allocated to VMs.", lambda host: host.allocated_vcpus),
    ("allocated_memory_bytes", "Memory allocated to VMs.", lambda host: host.allocated_memory_mib * MIB),
    ("vms", "VMs with an allocation on the host.", lambda host: host.vm_count),
    *(
        (one.about.metric, one.about.help, _seen(column, one.name, BASE.get(one.about.unit, 1)))
        for column, kind in COLUMNS.items()
        for one in facts_of(kind)
        if one.about.metric is not None
    ),
)
