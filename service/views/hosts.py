"""Hosts and host groups as JSON values."""

from __future__ import annotations

from typing import Any

from service.db.tables import Host, HostGroup
from service.facts import codec
from service.facts.fact import Fact, shown_of
from service.facts.host import COLUMNS
from service.json_types import JsonObject
from service.placement.facts import HostFacts
from service.placement.reservations import Reserved
from service.views.values import show_epoch, show_named, show_time


def show_host(row: Host, seen: HostFacts, for_osds: Reserved, *, to_keepers: bool) -> JsonObject:
    """Return a host with its allocations. Findings name guests of all projects: only its keepers see them."""
    over = {"vcpus": max(0, -seen.free_vcpus), "memory_mib": max(0, -seen.free_memory_mib)}
    facts = show_facts("facts", row)
    if facts is not None:
        facts |= {name: row.facts.get(name, []) if to_keepers else [] for name in ("strays", "foreign")}
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
        "hardware": show_facts("hardware", row),
        "usage": show_facts("usage", row),
        "usage_observed_at": show_time(row.usage_observed_at),
        "storage": show_facts("storage", row),
        "storage_observed_at": show_time(row.storage_observed_at),
        "problem": row.problem or _astray(facts) or _crowded(over),
        "findings": row.findings if to_keepers else None,
        "checked_at": show_time(row.checked_at),
        "created_at": show_time(row.created_at),
    }


def show_facts(column: str, row: Host) -> JsonObject | None:
    """Return what a column stores, as far as it is shown; a missing member has its default."""
    stored = getattr(row, column)
    if not stored:
        return None
    return {one.name: _fact(one, stored) for one in shown_of(COLUMNS[column])}


def _fact(one: Fact, stored: JsonObject) -> Any:
    if one.name not in stored:
        return codec.default_of(one)
    value = stored[one.name]
    return show_epoch(value) if one.about.unit == "epoch_s" else value


def _crowded(over: JsonObject) -> str | None:
    """Return by how much a host is overcommitted: its OSDs' needs grow, inventories are made smaller."""
    parts = [
        f"{over[name]} {what}" for name, what in (("vcpus", "vCPU"), ("memory_mib", "MiB of memory")) if over[name]
    ]
    return f"overcommitted by {' and '.join(parts)}: it gets no new VMs" if parts else None


def _astray(facts: JsonObject | None) -> str | None:
    strays = (facts or {}).get("strays") or ()
    return "; ".join(f"domain {stray['vm_id']} runs here: {stray['why']}" for stray in strays) or None


def show_host_group(row: HostGroup, hosts: list[str]) -> JsonObject:
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
