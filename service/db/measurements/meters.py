"""Metrics of processes that serve no HTTP, stored for the API processes."""

from __future__ import annotations

from datetime import datetime

from service.db.measurements.tables import ProcessMeters
from service.json_types import Json


def keep_meters(process: str, at: datetime, families: list[Json]) -> None:
    """Store a process's newest metrics (JSON data); inside the caller's transaction."""
    values = {"at": at, "families": families}
    ProcessMeters.insert(process=process, **values).on_conflict(
        conflict_target=[ProcessMeters.process], update=values
    ).execute()


def kept_meters(since: datetime) -> dict[str, list[Json]]:
    """Return process → its last metrics, if they are newer than `since`."""
    rows = ProcessMeters.select().where(ProcessMeters.at >= since).order_by(ProcessMeters.process)
    return {row.process: row.families for row in rows}
