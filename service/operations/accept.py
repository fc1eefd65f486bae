"""Acceptance of a request: audit row and job, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.context import Context
from service.db.engine.sql_types import Values
from service.db.queries import KIND
from service.db.tables import Row
from service.jobs import queue
from service.jobs.operation import Operation
from service.json_types import Json
from service.operations import audit
from service.operations.actor import Actor


def accept(
    ctx: Context,
    actor: Actor,
    operation: Operation,
    row: Row,
    *,
    args: Mapping[str, Json] | None = None,
    undo: Sequence[Values] = (),
    before: Json = None,
    is_as_written: bool = False,
    **detail: Any,
) -> str:
    """Enqueue `operation` on the object in `row` and return the job's id.

    `undo` runs last if the job fails. `before` is audit.definition() of the row as it was; None for a new one, or if
    this call did not change it. The audit reads the row again, unless the caller's `is_as_written`.
    """
    kind = KIND[type(row)]
    after = audit.definition(row if is_as_written else type(row).get_by_id(row.id))
    audit.record(ctx, actor, operation.kind, kind, row, before=before, after=after, **detail)
    return queue.enqueue(
        ctx,
        operation.kind,
        actor=actor.name,
        request_id=actor.request_id,
        code_version=operation.steps_version,
        object_kind=kind,
        object_id=row.id,
        project_id=getattr(row, "project_id", None),
        args=args or {},
        undo=undo,
    )
