"""VMs as JSON values."""

from __future__ import annotations

from service.db import queries
from service.db.tables import Nic, Vm, Volume
from service.json_types import JsonObject
from service.operations.images.definition import shown_name
from service.operations.placement import placement_groups
from service.views.values import show_named, show_time


def show_vms(rows: list[Vm]) -> list[JsonObject]:
    """VMs as lists show them: what each refers to is read once for all."""
    queries.attach(rows, Vm.host, Vm.flavor, Vm.image)
    nics = queries.nics_of(rows)
    return [show_vm(row, nics[row.id]) for row in rows]


def show_vm(row: Vm, nics: list[Nic] | None = None) -> JsonObject:
    """A VM, without its disks: what a list shows."""
    nics = queries.nics(row) if nics is None else nics
    return {
        **show_named(row),
        "project_id": row.project_id,
        "desired_state": row.desired_state,
        "observed_state": row.observed_state,
        "observed_at": show_time(row.observed_at),
        "host": row.host.name if row.host else None,
        "address": nics[0].address if nics else None,
        "user": row.user,
        "image": shown_name(row.image),
        "flavor": row.flavor.name,
        "vcpus": row.vcpus,
        "memory_mib": row.memory_mib,
        "tags": row.tags,
        "pending": row.pending,
        "virt_type": row.virt_type,
        "epoch": row.epoch,
        "created_at": show_time(row.created_at),
        "managed": row.managed,
        "created_by": row.created_by,
    }


def show_vm_in_full(row: Vm) -> JsonObject:
    """A VM with its disks, drives and network cards."""
    ties = placement_groups.ties_of(row)
    nics, shown = queries.nics(row), ("description", "firmware", "chipset", "clock", "video", "boot", "ssh_keys")
    return {
        **show_vm(row, nics),
        "machine": row.machine,
        "max_vcpus": row.max_vcpus,
        "max_memory_mib": row.max_memory_mib,
        **{name: getattr(row, name) for name in shown},
        "placement_groups": [tie.name for tie in ties],
        "broken_rules": placement_groups.broken_by(row, ties),
        "vnc_expires_at": show_time(row.vnc_expires_at),
        "volumes": [_vm_volume(volume) for volume in queries.volumes(row)],
        "cdroms": [
            {"target": drive.target, "bus": drive.bus, "image": shown_name(drive.image)}
            for drive in queries.drives(row)
        ],
        "nics": [
            {"network": nic.network.name, "mac": nic.mac, "address": nic.address, "model": nic.model} for nic in nics
        ],
    }


def _vm_volume(row: Volume) -> JsonObject:
    shown = ("id", "name", "role", "target", "bus", "pool", "storage_name", "size_bytes", "state")
    return {**{name: getattr(row, name) for name in shown}, "image": shown_name(row.image)}
