"""Event stream: written in the transaction of the change itself, read by position.

Ids grow in the order of commits, because every writer holds the database's one write lock when it gets its id: a reader
that has read up to an id has missed no event before it. The newest event is never purged, so that no id is reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from peewee import Expression, fn

from service.db.engine.prepared import insert
from service.db.tables import Event
from service.json_types import JsonObject

EVENTS = "events"  # the bell's topic: there may be new events


@dataclass(frozen=True, slots=True)
class Bounds:
    """Ids of the oldest and the newest stored event; 0 and 0 before the first."""

    oldest: int
    newest: int


def record(
    now: datetime, kind: str, *, object_kind: str, object_id: str, project_id: str | None, data: JsonObject
) -> None:
    """Add an event, in the caller's transaction.

    `project_id` None: an event of the cloud itself, visible to admins and operators only.
    """
    insert(
        Event,
        created_at=now,
        kind=kind,
        object_kind=object_kind,
        object_id=object_id,
        project_id=project_id,
        data=data,
    )


def after(position: int, *, limit: int, visible: Expression | None, kinds: tuple[str, ...] = ()) -> list[Event]:
    """Return at most `limit` events after an id, the oldest first.

    `visible` is a condition on the rows; None means all.
    """
    query = Event.select().where(Event.id > position).order_by(Event.id).limit(limit)
    if visible is not None:
        query = query.where(visible)
    if kinds:
        query = query.where(Event.object_kind.in_(list(kinds)))
    return list(query)


def newest() -> int:
    """Return the id of the newest event; 0 before the first."""
    return Event.select(fn.MAX(Event.id)).scalar() or 0


def bounds() -> Bounds:
    """Return the stored range, by two queries: SQLite's index finds one end per query."""
    return Bounds(Event.select(fn.MIN(Event.id)).scalar() or 0, newest())


def purge(before: datetime, *, keep_at_most: int) -> None:
    """Delete older events and all but the newest `keep_at_most`; never the newest."""
    last = newest()
    old = (Event.created_at < before) | (Event.id <= last - keep_at_most)
    Event.delete().where(old & (Event.id < last)).execute()
