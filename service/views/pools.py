"""Storage pools and the storage cluster as JSON values."""

from __future__ import annotations

from service.db.tables import Pool, Storage
from service.json_types import JsonObject
from service.views.values import show_time

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


def show_pool(row: Pool, *, vm_pool: str, image_pool: str) -> JsonObject:
    """A pool, and what it is used for; `vm_pool` and `image_pool` are the settings' own."""
    default_for = [use for use, own in (("vms", vm_pool), ("images", image_pool)) if own == row.name]
    marked = [use for use, mark in (("vms", row.for_vms), ("images", row.for_images)) if mark]
    return {
        "name": row.name,
        "uses": [use for use in ("vms", "images") if use in default_for or use in marked],
        "default_for": default_for,
        **{name: (row.facts or {}).get(name) for name in POOL_FACTS},
        "observed_at": show_time(row.observed_at),
    }


def show_storage(row: Storage) -> JsonObject:
    """The storage cluster as last observed."""
    return {**row.health, "osds": row.osds, "observed_at": show_time(row.observed_at)}
