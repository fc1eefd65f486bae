"""Events as JSON values."""

from __future__ import annotations

from service.db.tables import Event
from service.json_types import JsonObject
from service.views.values import show_time


def show_event(row: Event) -> JsonObject:
    """Something that happened."""
    return {
        "id": row.id,
        "at": show_time(row.created_at),
        "kind": row.kind,
        "object": {"kind": row.object_kind, "id": row.object_id},
        "project_id": row.project_id,
        "data": row.data,
    }
