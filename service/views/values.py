"""Values that every view is made of: instants, and objects by id and name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.json_types import JsonObject

LAST_S = 250_000_000_000  # epoch seconds that a datetime can hold, rounded down


def show_time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None


def show_epoch(seconds: Any) -> str | None:
    """Return RFC 3339 of seconds since 1970; None of what is no such number."""
    is_moment = isinstance(seconds, int | float) and 0 <= seconds < LAST_S
    return show_time(datetime.fromtimestamp(seconds, UTC)) if is_moment else None


def show_named(row: Any) -> JsonObject:
    """Id and name."""
    return {"id": row.id, "name": row.name}
