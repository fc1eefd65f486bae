"""A VM's counters under the names that libvirt exporters gave them, so that their dashboards and alerts work.

`domain` is the VM's name. Counters begin anew when a VM starts or moves, which Prometheus expects of counters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.db.measurements import LastMeasure

VM = ("domain", "vm_id", "project_id", "host")
DEVICE = (*VM, "target_device")
INFO, MEMORY = "libvirt_domain_info_", "libvirt_domain_memory_stats_"
# Name without _total → the field of service.hypervisor.values, what it is.
BLOCK_COUNTERS = {
    "read_bytes": ("read_bytes", "Bytes read from a block device."),
    "read_requests": ("read_requests", "Read requests to a block device."),
    "read_time_seconds": ("read_time_s", "Time that reads took."),
    "write_bytes": ("written_bytes", "Bytes written to a block device."),
    "write_requests": ("write_requests", "Write requests to a block device."),
    "write_time_seconds": ("write_time_s", "Time that writes took."),
    "flush_requests": ("flush_requests", "Flush requests to a block device."),
}
INTERFACE_COUNTERS = {
    "receive_bytes": ("received_bytes", "Bytes received."),
    "receive_packets": ("received_packets", "Packets received."),
    "receive_errors": ("received_errors", "Packets received with errors."),
    "receive_drops": ("received_drops", "Packets dropped on their way in."),
    "transmit_bytes": ("sent_bytes", "Bytes sent."),
    "transmit_packets": ("sent_packets", "Packets sent."),
    "transmit_errors": ("sent_errors", "Packets sent with errors."),
    "transmit_drops": ("sent_drops", "Packets dropped on their way out."),
}
MEMORY_GAUGES = {
    "rss_bytes": ("resident_bytes", "What QEMU holds of the host's memory."),
    "available_bytes": ("available_bytes", "What the guest's system sees as its memory."),
    "unused_bytes": ("unused_bytes", "What the guest has not touched."),
    "usable_bytes": ("usable_bytes", "What the guest could use without swapping."),
}


def families(rows: Iterable[LastMeasure]) -> list[Metric]:
    """All metrics of all VMs."""
    vms = [((row.name, row.vm_id, row.project_id, row.host), row.statistics) for row in rows]
    disks = [((*vm, disk["target"]), disk) for vm, told in vms for disk in told["disks"]]
    nics = [((*vm, nic["device"]), nic) for vm, told in vms for nic in told["nics"]]
    memory = [(vm, told["memory"]) for vm, told in vms if told["memory"]]
    return [
        *_info(vms, memory),
        *_gauges(MEMORY, MEMORY_GAUGES, VM, memory),
        *_counters("libvirt_domain_block_stats_", BLOCK_COUNTERS, disks),
        *_gauges("libvirt_domain_block_stats_", {"capacity_bytes": ("capacity_bytes", "Its size.")}, DEVICE, disks),
        *_counters("libvirt_domain_interface_stats_", INTERFACE_COUNTERS, nics),
    ]


Labelled = Sequence[tuple[tuple[str, ...], Mapping[str, Any]]]


def _info(vms: Labelled, memory: Labelled) -> list[Metric]:
    time = CounterMetricFamily(f"{INFO}cpu_time_seconds", "CPU time used.", labels=VM)
    vcpus = GaugeMetricFamily(f"{INFO}virtual_cpus", "Virtual CPUs.", labels=VM)
    for vm, told in vms:
        time.add_metric(vm, told["cpu_time_s"])
        vcpus.add_metric(vm, len(told["vcpu_times_s"]))
    sizes = {
        "memory_usage_bytes": ("current_bytes", "Memory that the guest has."),
        "maximum_memory_bytes": ("maximum_bytes", "Memory that it may have."),
    }
    return [time, vcpus, *_gauges(INFO, sizes, VM, memory)]


def _counters(prefix: str, names: Mapping[str, tuple[str, str]], rows: Labelled) -> list[Metric]:
    every: list[Metric] = []
    for name, (field, told) in names.items():
        family = CounterMetricFamily(prefix + name, told, labels=DEVICE)
        for labels, values in rows:
            family.add_metric(labels, values[field])
        every.append(family)
    return every


def _gauges(prefix: str, names: Mapping[str, tuple[str, str]], labels: tuple[str, ...], rows: Labelled) -> list[Metric]:
    every: list[Metric] = []
    for name, (field, told) in names.items():
        family = GaugeMetricFamily(prefix + name, told, labels=labels)
        for at, values in rows:
            if values[field] is not None:
                family.add_metric(at, values[field])
        every.append(family)
    return every
