"""Data volumes as JSON values."""

from __future__ import annotations

from service.db import queries
from service.db.tables import Volume
from service.json_types import JsonObject
from service.operations.images.definition import shown_name
from service.views.values import show_named, show_time


def show_volumes(rows: list[Volume]) -> list[JsonObject]:
    """Volumes as lists show them: what each refers to is read once for all."""
    queries.attach(rows, Volume.vm, Volume.image)
    return [show_volume(row) for row in rows]


def show_volume(row: Volume) -> JsonObject:
    """A data volume."""
    return {
        **show_named(row),
        "state": row.state,
        "vm": row.vm.name if row.vm else None,
        "target": row.target,
        "bus": row.bus,
        "pool": row.pool,
        "size_bytes": row.size_bytes,
        "image": shown_name(row.image),
        "project_id": row.project_id,
        "created_at": show_time(row.created_at),
    }
