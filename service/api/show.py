"""Rows as JSON values: what people see of each kind of object."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.db import queries
from service.db.tables import (
    Event,
    Flavor,
    Host,
    HostGroup,
    Image,
    Network,
    Nic,
    Placement,
    Pool,
    Storage,
    Upload,
    Vm,
    Volume,
)
from service.jobs.views import JobView
from service.operations import placement_groups
from service.operations.images.definition import told_name
from service.placement.facts import HostFacts
from service.placement.reservations import Reserved

Json = dict[str, Any]


def time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def named(row: Any) -> Json:
    """Id and name."""
    return {"id": row.id, "name": row.name}


USAGE = ("cpu_average", "cpu_peak", "cpu_forecast", "ceph_cpu", "memory_used_mib", "ksm_saved_mib")
# Without the names of a hundred CPU features: a list of hosts is read often.
HARDWARE = (
    "cpu_model", "cpus", "memory_mib", "numa", "firmwares", "bridges", "links", "local_disk_free_bytes",
    "libvirt_version", "qemu_version",
)  # fmt: skip


def host(row: Host, seen: HostFacts, for_osds: Reserved, *, to_keepers: bool) -> Json:
    """A host, with what is promised on it. What was found there names everybody's guests: only its keepers see that."""
    over = {"vcpus": max(0, -seen.free_vcpus), "memory_mib": max(0, -seen.free_memory_mib)}
    facts = row.facts if to_keepers or row.facts is None else {**row.facts, "strays": [], "foreign": []}
    return {
        **named(row),
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
        "observed_at": time(row.observed_at),
        "hardware": row.hardware and {name: row.hardware.get(name) for name in HARDWARE},
        "usage": row.usage and {name: row.usage.get(name) for name in USAGE},
        "usage_observed_at": time(row.usage_observed_at),
        "storage": row.storage,
        "storage_observed_at": time(row.storage_observed_at),
        "problem": row.problem or _astray(facts) or _crowded(over),
        "findings": row.findings if to_keepers else None,
        "checked_at": time(row.checked_at),
        "created_at": time(row.created_at),
    }


def _crowded(over: Json) -> str | None:
    """What its OSDs need may grow after its room was promised; a smaller inventory does the same."""
    told = [f"{over[name]} {what}" for name, what in (("vcpus", "vCPU"), ("memory_mib", "MiB of memory")) if over[name]]
    return f"{' and '.join(told)} more are promised than there is room: it gets no new VMs" if told else None


def _astray(facts: Json | None) -> str | None:
    strays = (facts or {}).get("strays") or ()
    return "; ".join(f"domain {stray['vm_id']} runs here: {stray['why']}" for stray in strays) or None


POOL_FACTS = (
    "replicas",
    "stored_bytes",
    "free_bytes",
    "near_full",
    "full",
    "quota_bytes",
    "crush_rule",
    "device_class",
)


def pool(row: Pool, *, vm_pool: str, image_pool: str) -> Json:
    """A pool, and what it is used for; `vm_pool` and `image_pool` are the settings' own."""
    default_for = [use for use, own in (("vms", vm_pool), ("images", image_pool)) if own == row.name]
    marked = [use for use, mark in (("vms", row.for_vms), ("images", row.for_images)) if mark]
    return {
        "name": row.name,
        "uses": [use for use in ("vms", "images") if use in default_for or use in marked],
        "default_for": default_for,
        **{name: (row.facts or {}).get(name) for name in POOL_FACTS},
        "observed_at": time(row.observed_at),
    }


def host_group(row: HostGroup, hosts: list[str]) -> Json:
    """A host group with its hosts."""
    return {
        **named(row),
        "description": row.description,
        "hosts": hosts,
        "vcpu_ratio": _ratio(row.vcpu_ratio_milli),
        "memory_ratio": _ratio(row.memory_ratio_milli),
        "algorithm": row.algorithm,
        "created_at": time(row.created_at),
    }


def _ratio(milli: int | None) -> float | None:
    return None if milli is None else milli / 1000


def storage(row: Storage) -> Json:
    """The storage cluster as last observed."""
    return {**row.health, "osds": row.osds, "observed_at": time(row.observed_at)}


def flavor(row: Flavor) -> Json:
    """A flavor."""
    return {
        **named(row),
        "vcpus": row.vcpus,
        "max_vcpus": row.max_vcpus,
        "memory_mib": row.memory_mib,
        "max_memory_mib": row.max_memory_mib,
        "disk_bytes": row.disk_bytes,
        "created_at": time(row.created_at),
    }


def network(row: Network) -> Json:
    """A guest network."""
    return {
        **named(row),
        "bridge": row.bridge,
        "cidr": row.cidr,
        "gateway": row.gateway,
        "first_address": row.first_address,
        "last_address": row.last_address,
        "dns": row.dns,
        "created_at": time(row.created_at),
    }


def image(row: Image) -> Json:
    """An image."""
    return {
        **named(row),
        "project_id": row.project_id,
        "state": row.state,
        "kind": row.kind,
        "format": row.format,
        "compression": row.compression,
        "size_bytes": row.size_bytes,
        "min_disk_bytes": row.min_disk_bytes,
        "sha256": row.sha256,
        "raw_sha256": row.raw_sha256,
        "source": row.source,
        "default_user": row.default_user,
        "labels": row.labels,
        "visibility": row.visibility,
        "pool": row.pool,
        "created_at": time(row.created_at),
    }


def upload(row: Upload, offset: int) -> Json:
    """An upload, of which `offset` bytes are here."""
    return {
        **named(row),
        "project_id": row.project_id,
        "format": row.image["format"],
        "compression": row.image["compression"],
        "sha256": row.image["sha256"],
        "size_bytes": row.size_bytes,
        "offset": offset,
        "job_id": row.job_id,
        "created_by": row.created_by,
        "created_at": time(row.created_at),
        "expires_at": time(row.expires_at),
    }


def vms(rows: list[Vm]) -> list[Json]:
    """VMs as lists show them: what each refers to is read once for all."""
    queries.attach(rows, Vm.host, Vm.flavor, Vm.image)
    nics = queries.nics_of(rows)
    return [vm(row, nics[row.id]) for row in rows]


def vm(row: Vm, nics: list[Nic] | None = None) -> Json:
    """A VM, without its disks: what a list shows."""
    nics = queries.nics(row) if nics is None else nics
    return {
        **named(row),
        "project_id": row.project_id,
        "desired_state": row.desired_state,
        "observed_state": row.observed_state,
        "observed_at": time(row.observed_at),
        "host": row.host.name if row.host else None,
        "address": nics[0].address if nics else None,
        "user": row.user,
        "image": told_name(row.image),
        "flavor": row.flavor.name,
        "vcpus": row.vcpus,
        "memory_mib": row.memory_mib,
        "tags": row.tags,
        "pending": row.pending,
        "virt_type": row.virt_type,
        "epoch": row.epoch,
        "created_at": time(row.created_at),
        "managed": row.managed,
        "created_by": row.created_by,
    }


def vm_in_full(row: Vm) -> Json:
    """A VM with its disks, drives and network cards."""
    ties = placement_groups.ties_of(row)
    nics, shown = queries.nics(row), ("description", "firmware", "chipset", "clock", "video", "boot", "ssh_keys")
    return {
        **vm(row, nics),
        "machine": row.machine,
        "max_vcpus": row.max_vcpus,
        "max_memory_mib": row.max_memory_mib,
        **{name: getattr(row, name) for name in shown},
        "placement_groups": [tie.name for tie in ties],
        "broken_rules": placement_groups.broken_by(row, ties),
        "vnc_expires_at": time(row.vnc_expires_at),
        "volumes": [_vm_volume(volume) for volume in queries.volumes(row)],
        "cdroms": [
            {"target": drive.target, "bus": drive.bus, "image": told_name(drive.image)} for drive in queries.drives(row)
        ],
        "nics": [
            {"network": nic.network.name, "mac": nic.mac, "address": nic.address, "model": nic.model} for nic in nics
        ],
    }


def _vm_volume(row: Volume) -> Json:
    shown = ("id", "name", "role", "target", "bus", "pool", "rbd_name", "size_bytes", "state")
    return {**{name: getattr(row, name) for name in shown}, "image": told_name(row.image)}


def volumes(rows: list[Volume]) -> list[Json]:
    """Volumes as lists show them: what each refers to is read once for all."""
    queries.attach(rows, Volume.vm, Volume.image)
    return [volume(row) for row in rows]


def volume(row: Volume) -> Json:
    """A data volume."""
    return {
        **named(row),
        "state": row.state,
        "vm": row.vm.name if row.vm else None,
        "target": row.target,
        "bus": row.bus,
        "pool": row.pool,
        "size_bytes": row.size_bytes,
        "image": told_name(row.image),
        "project_id": row.project_id,
        "created_at": time(row.created_at),
    }


def placement(row: Placement) -> Json:
    """A decision with its explanation."""
    best = next((verdict for verdict in row.top if verdict["host_id"] == row.host_id), None)
    return {
        "id": row.id,
        "vm_id": row.vm_id,
        "created_at": time(row.created_at),
        "algorithm": row.algorithm,
        "policy_hash": row.policy_hash or None,
        "fallback": row.fallback,
        "facts": {"journal": row.journal, "number": row.facts_version} if row.journal else None,
        "reasons": row.reasons,
        "chosen": best,
        "verdicts": row.top,
    }


def job(view: JobView) -> Json:
    """A job with its phases."""
    error = {"code": view.error_code, "detail": view.error_detail} if view.error_code else None
    return {
        "id": view.id,
        "kind": view.kind,
        "state": view.state,
        "reason": view.reason or None,
        "phase": view.phase or None,
        "phases": [{"name": phase.name, "started_at": time(phase.started_at), "ms": phase.ms} for phase in view.phases],
        "progress": view.progress,
        "progress_text": None if view.finished else view.progress_text or None,
        "object": {"kind": view.object_kind, "id": view.object_id} if view.object_id else None,
        "result": view.result,
        "error": error,
        "actor": view.actor,
        "project_id": view.project_id,
        "request_id": view.request_id,
        "attempts": view.attempts,
        "cancel_requested": view.cancel_requested,
        "created_at": time(view.created_at),
        "started_at": time(view.started_at),
        "finished_at": time(view.finished_at),
    }


def event(row: Event) -> Json:
    """Something that happened."""
    return {
        "id": row.id,
        "at": time(row.created_at),
        "kind": row.kind,
        "object": {"kind": row.object_kind, "id": row.object_id},
        "project_id": row.project_id,
        "data": row.data,
    }
