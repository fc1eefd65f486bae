"""Flavors and networks as JSON values."""

from __future__ import annotations

from service.db.tables import Flavor, Network
from service.json_types import JsonObject
from service.views.values import show_named, show_time


def show_flavor(row: Flavor) -> JsonObject:
    """A flavor."""
    return {
        **show_named(row),
        "vcpus": row.vcpus,
        "max_vcpus": row.max_vcpus,
        "memory_mib": row.memory_mib,
        "max_memory_mib": row.max_memory_mib,
        "disk_bytes": row.disk_bytes,
        "created_at": show_time(row.created_at),
    }


def show_network(row: Network) -> JsonObject:
    """A guest network."""
    return {
        **show_named(row),
        "bridge": row.bridge,
        "cidr": row.cidr,
        "gateway": row.gateway,
        "first_address": row.first_address,
        "last_address": row.last_address,
        "dns": row.dns,
        "created_at": show_time(row.created_at),
    }
