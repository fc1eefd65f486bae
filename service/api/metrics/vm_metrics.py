"""Metrics of VMs for Prometheus, named as by the common libvirt exporters.

Their dashboards and alerts work unchanged. `domain` is the VM's name. Counters restart at 0 when a VM starts or moves,
which Prometheus handles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from service.db.measurements import LastMeasure
from service.json_types import Json

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
    "receive_drops": ("received_drops", "Incoming packets dropped."),
    "transmit_bytes": ("sent_bytes", "Bytes sent."),
    "transmit_packets": ("sent_packets", "Packets sent."),
    "transmit_errors": ("sent_errors", "Packets sent with errors."),
    "transmit_drops": ("sent_drops", "Outgoing packets dropped."),
}
MEMORY_GAUGES = {
    "rss_bytes": ("resident_bytes", "Host memory used by QEMU."),
    "available_bytes": ("available_bytes", "Memory as the guest's kernel reports it."),
    "unused_bytes": ("unused_bytes", "Memory that the guest does not use."),
    "usable_bytes": ("usable_bytes", "Memory that the guest can use without swapping."),
}


def families(rows: Iterable[LastMeasure]) -> list[Metric]:
    """Return all metrics of all VMs."""
    vms = [((row.name, row.vm_id, row.project_id, row.host), row.statistics) for row in rows]
    disks = [((*vm, disk["target"]), disk) for vm, values in vms for disk in values["disks"]]
    nics = [((*vm, nic["device"]), nic) for vm, values in vms for nic in values["nics"]]
    memory = [(vm, values["memory"]) for vm, values in vms if values["memory"]]
    return [
        *_info(vms, memory),
        *_gauges(MEMORY, MEMORY_GAUGES, VM, memory),
        *_counters("libvirt_domain_block_stats_", BLOCK_COUNTERS, disks),
        *_gauges("libvirt_domain_block_stats_", {"capacity_bytes": ("capacity_bytes", "Device size.")}, DEVICE, disks),
        *_counters("libvirt_domain_interface_stats_", INTERFACE_COUNTERS, nics),
    ]


Labelled = Sequence[tuple[tuple[str, ...], Mapping[str, Json]]]


def _info(vms: Labelled, memory: Labelled) -> list[Metric]:
    time = CounterMetricFamily(f"{INFO}cpu_time_seconds", "CPU time used.", labels=VM)
    vcpus = GaugeMetricFamily(f"{INFO}virtual_cpus", "Virtual CPUs.", labels=VM)
    for vm, values in vms:
        time.add_metric(vm, values["cpu_time_s"])
        vcpus.add_metric(vm, len(values["vcpu_times_s"]))
    sizes = {
        "memory_usage_bytes": ("current_bytes", "Memory of the guest."),
        "maximum_memory_bytes": ("maximum_bytes", "Maximum memory of the guest."),
    }
    return [time, vcpus, *_gauges(INFO, sizes, VM, memory)]


def _counters(prefix: str, names: Mapping[str, tuple[str, str]], rows: Labelled) -> list[Metric]:
    every: list[Metric] = []
    for name, (field, text) in names.items():
        family = CounterMetricFamily(prefix + name, text, labels=DEVICE)
        for labels, values in rows:
            family.add_metric(labels, values[field])
        every.append(family)
    return every


def _gauges(prefix: str, names: Mapping[str, tuple[str, str]], labels: tuple[str, ...], rows: Labelled) -> list[Metric]:
    every: list[Metric] = []
    for name, (field, text) in names.items():
        family = GaugeMetricFamily(prefix + name, text, labels=labels)
        for at, values in rows:
            if values[field] is not None:
                family.add_metric(at, values[field])
        every.append(family)
    return every
