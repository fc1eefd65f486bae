"""What processes that nobody scrapes counted of themselves, for those that are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.db.measurements.tables import ProcessMeters


def keep_meters(process: str, at: datetime, families: list[Any]) -> None:
    """Keep a process's newest numbers (JSON data); inside the caller's transaction."""
    values = {"at": at, "families": families}
    ProcessMeters.insert(process=process, **values).on_conflict(
        conflict_target=[ProcessMeters.process], update=values
    ).execute()


def kept_meters(since: datetime) -> dict[str, list[Any]]:
    """Process → what it last told, if that was since then."""
    rows = ProcessMeters.select().where(ProcessMeters.at >= since).order_by(ProcessMeters.process)
    return {row.process: row.families for row in rows}
