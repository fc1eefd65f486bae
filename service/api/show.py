"""Rows as JSON values: what people see of each kind of object."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.db import queries
from service.db.tables import Flavor, Host, Image, Network, Placement, Pool, Storage, Vm
from service.jobs.views import JobView

Json = dict[str, Any]


def time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def _named(row: Any) -> Json:
    return {"id": row.id, "name": row.name}


def host(row: Host, promised: tuple[int, int, int]) -> Json:
    """A host, with what is promised on it."""
    vcpus, memory_mib, vm_count = promised
    return {
        **_named(row),
        "address": row.address,
        "state": row.state,
        "virt_type": row.virt_type,
        "vcpus": row.vcpus,
        "memory_mib": row.memory_mib,
        "reserved": {"vcpus": row.reserved_vcpus, "memory_mib": row.reserved_memory_mib},
        "allocated": {"vcpus": vcpus, "memory_mib": memory_mib, "vms": vm_count},
        "facts": row.facts,
        "observed_at": time(row.observed_at),
        "problem": row.problem,
        "created_at": time(row.created_at),
    }


def pool(row: Pool) -> Json:
    """A pool as last observed."""
    return {**row.facts, "observed_at": time(row.observed_at)}


def storage(row: Storage) -> Json:
    """The storage cluster as last observed."""
    return {**row.health, "osds": row.osds, "observed_at": time(row.observed_at)}


def flavor(row: Flavor) -> Json:
    """A flavor."""
    return {
        **_named(row),
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
        **_named(row),
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
        **_named(row),
        "state": row.state,
        "format": row.format,
        "size_bytes": row.size_bytes,
        "sha256": row.sha256,
        "default_user": row.default_user,
        "pool": row.pool,
        "created_at": time(row.created_at),
    }


def vm(row: Vm) -> Json:
    """A VM, without its disks: what a list shows."""
    return {
        **_named(row),
        "desired_state": row.desired_state,
        "observed_state": row.observed_state,
        "observed_at": time(row.observed_at),
        "host": row.host.name if row.host else None,
        "address": next((nic.address for nic in queries.nics(row)), None),
        "user": row.user,
        "image": row.image.name,
        "flavor": row.flavor.name,
        "vcpus": row.vcpus,
        "memory_mib": row.memory_mib,
        "virt_type": row.virt_type,
        "epoch": row.epoch,
        "created_at": time(row.created_at),
        "created_by": row.created_by,
    }


def vm_in_full(row: Vm) -> Json:
    """A VM with its disks and network cards."""
    return {
        **vm(row),
        "machine": row.machine,
        "max_vcpus": row.max_vcpus,
        "max_memory_mib": row.max_memory_mib,
        "ssh_keys": row.ssh_keys,
        "volumes": [
            {
                "role": volume.role,
                "target": volume.target,
                "pool": volume.pool,
                "rbd_name": volume.rbd_name,
                "size_bytes": volume.size_bytes,
            }
            for volume in queries.volumes(row)
        ],
        "nics": [{"network": nic.network.name, "mac": nic.mac, "address": nic.address} for nic in queries.nics(row)],
    }


def placement(row: Placement) -> Json:
    """A decision with its explanation."""
    return {"id": row.id, "vm_id": row.vm_id, "created_at": time(row.created_at), **row.decision}


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
        "request_id": view.request_id,
        "attempts": view.attempts,
        "cancel_requested": view.cancel_requested,
        "created_at": time(view.created_at),
        "started_at": time(view.started_at),
        "finished_at": time(view.finished_at),
    }
