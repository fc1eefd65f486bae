"""The stream of what happened: written in the transaction of the change itself, read by position.

Ids grow in the order of commits, because every writer holds the database's one write lock when it draws its id: who has
read up to an id has missed nothing before it. The newest event is never purged, so that no id is ever given twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import Expression, fn

from service.db.engine.prepared import insert
from service.db.tables import Event

EVENTS = "events"  # the bell's topic: there may be new events


@dataclass(frozen=True, slots=True)
class Bounds:
    """The ids of the oldest and the newest event that are kept; 0 and 0 before the first."""

    oldest: int
    newest: int


def record(
    now: datetime, kind: str, *, object_kind: str, object_id: str, project_id: str | None, data: dict[str, Any]
) -> None:
    """Add an event, in the caller's transaction. `project_id` None: the cloud's own, which only its keepers see."""
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
    """At most `limit` events after an id, the oldest first, as far as the condition `visible` allows (None: all)."""
    query = Event.select().where(Event.id > position).order_by(Event.id).limit(limit)
    if visible is not None:
        query = query.where(visible)
    if kinds:
        query = query.where(Event.object_kind.in_(list(kinds)))
    return list(query)


def newest() -> int:
    """The id of the newest event; 0 before the first."""
    return Event.select(fn.MAX(Event.id)).scalar() or 0


def bounds() -> Bounds:
    """What is kept. Two queries: SQLite finds each end in its index, but not both at once."""
    return Bounds(Event.select(fn.MIN(Event.id)).scalar() or 0, newest())


def purge(before: datetime, *, keep_at_most: int) -> None:
    """Forget what is older, and all but the newest `keep_at_most`; never the newest of all."""
    last = newest()
    old = (Event.created_at < before) | (Event.id <= last - keep_at_most)
    Event.delete().where(old & (Event.id < last)).execute()
