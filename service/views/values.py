"""Values that every view is made of: instants, and objects by id and name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

Json = dict[str, Any]


def show_time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def show_named(row: Any) -> Json:
    """Id and name."""
    return {"id": row.id, "name": row.name}
