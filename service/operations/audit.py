"""Every write leaves a row: who, what, on which object."""

from __future__ import annotations

from typing import Any

from service.context import Context
from service.db.tables import Audit, Row
from service.jobs.views import JobView
from service.operations.actor import Actor


def record(ctx: Context, actor: Actor, action: str, kind: str, row: Row | JobView, **detail: Any) -> None:
    """Add the row, inside the caller's transaction."""
    Audit.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        actor=actor.name,
        action=action,
        object_kind=kind,
        object_id=row.id,
        object_name=getattr(row, "name", ""),
        request_id=actor.request_id,
        detail=detail,
    )
