"""Hosts and host groups as JSON values."""

from __future__ import annotations

from service.db.tables import Host, HostGroup
from service.placement.facts import HostFacts
from service.placement.reservations import Reserved
from service.views.values import Json, show_named, show_time

USAGE = ("cpu_average", "cpu_peak", "cpu_forecast", "ceph_cpu", "memory_used_mib", "ksm_saved_mib")


# Without the names of a hundred CPU features: a list of hosts is read often.
HARDWARE = (
    "cpu_model", "cpus", "memory_mib", "numa", "firmwares", "bridges", "links", "local_disk_free_bytes",
    "libvirt_version", "qemu_version",
)  # fmt: skip


def show_host(row: Host, seen: HostFacts, for_osds: Reserved, *, to_keepers: bool) -> Json:
    """A host, with what is promised on it. What was found there names everybody's guests: only its keepers see that."""
    over = {"vcpus": max(0, -seen.free_vcpus), "memory_mib": max(0, -seen.free_memory_mib)}
    facts = row.facts if to_keepers or row.facts is None else {**row.facts, "strays": [], "foreign": []}
    return {
        **show_named(row),
        "address": row.address,
        "state": row.state,
        "virt_type": row.virt_type,
        "vcpus": row.vcpus,
        "memory_mib": row.memory_mib,
        "reserved": {"vcpus": row.reserved_vcpus, "memory_mib": row.reserved_memory_mib},
        "reserved_for_osds": {"vcpus": for_osds.vcpus, "memory_mib": for_osds.memory_mib},
        "usable": {"vcpus": seen.usable_vcpus, "memory_mib": seen.usable_memory_mib},
        "allocated": {
            "vcpus": seen.allocated_vcpus,
            "memory_mib": seen.allocated_memory_mib,
            "vms": seen.vm_count,
        },
        "free": {"vcpus": max(0, seen.free_vcpus), "memory_mib": max(0, seen.free_memory_mib)},
        "overcommitted_by": over if any(over.values()) else None,
        "facts": facts,
        "observed_at": show_time(row.observed_at),
        "hardware": row.hardware and {name: row.hardware.get(name) for name in HARDWARE},
        "usage": row.usage and {name: row.usage.get(name) for name in USAGE},
        "usage_observed_at": show_time(row.usage_observed_at),
        "storage": row.storage,
        "storage_observed_at": show_time(row.storage_observed_at),
        "problem": row.problem or _astray(facts) or _crowded(over),
        "findings": row.findings if to_keepers else None,
        "checked_at": show_time(row.checked_at),
        "created_at": show_time(row.created_at),
    }


def _crowded(over: Json) -> str | None:
    """What its OSDs need may grow after its room was promised; a smaller inventory does the same."""
    told = [f"{over[name]} {what}" for name, what in (("vcpus", "vCPU"), ("memory_mib", "MiB of memory")) if over[name]]
    return f"{' and '.join(told)} more are promised than there is room: it gets no new VMs" if told else None


def _astray(facts: Json | None) -> str | None:
    strays = (facts or {}).get("strays") or ()
    return "; ".join(f"domain {stray['vm_id']} runs here: {stray['why']}" for stray in strays) or None


def show_host_group(row: HostGroup, hosts: list[str]) -> Json:
    """A host group with its hosts."""
    return {
        **show_named(row),
        "description": row.description,
        "hosts": hosts,
        "vcpu_ratio": _ratio(row.vcpu_ratio_milli),
        "memory_ratio": _ratio(row.memory_ratio_milli),
        "algorithm": row.algorithm,
        "created_at": show_time(row.created_at),
    }


def _ratio(milli: int | None) -> float | None:
    return None if milli is None else milli / 1000
