"""Layer for `dry_run=true`: runs the request in a transaction and rolls it back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn

from service.db.engine.database import transaction
from service.db.tables import Placement
from service.edge.call import Accepted, AnyCall, Outcome, Reply
from service.edge.route import Handler, Route
from service.jobs.views import job_view
from service.json_types import JsonObject
from service.views.placements import show_placement

SHOWN = ("changed", "diff", "why_not_all", "reasons")  # members of the response that a dry run shows


class _Enough(Exception):  # noqa: N818 - not an error: it takes the transaction back
    """Result of the request, raised to roll the transaction back."""

    def __init__(self, trial: JsonObject) -> None:
        super().__init__()
        self.trial = trial


def tried(route: Route, handler: Handler, call: AnyCall) -> Outcome:
    """Return what the request would do if `dry_run`: nothing is written or woken.

    Errors are the same as without `dry_run`.
    """
    del route
    if not getattr(call.query, "dry_run", False):
        return handler(call)
    try:
        with transaction(call.ctx.db):
            _take_back(handler, call)
    except _Enough as enough:
        return Reply(enough.trial)


def _take_back(handler: Handler, call: AnyCall) -> NoReturn:
    began = call.ctx.clock.now()
    before = {row.id for row in _placements(began)}
    trial = _trial(handler(call))
    trial["placements"] = [show_placement(row) for row in _placements(began) if row.id not in before]
    raise _Enough(trial)


def _trial(outcome: Outcome) -> JsonObject:
    trial: JsonObject = {"dry_run": True, "job": None, "placements": [], "changed": None, "diff": None}
    trial |= {"why_not_all": None, "reasons": {}}
    if isinstance(outcome, Accepted):
        view = job_view(outcome.job_id)
        trial["job"] = {"kind": view.kind, "object": {"kind": view.object_kind, "id": view.object_id}}
    body = outcome.body if isinstance(outcome, Accepted) else outcome.body if isinstance(outcome, Reply) else None
    if isinstance(body, Mapping):
        trial |= {name: body[name] for name in SHOWN if name in body}
    return trial


def _placements(since: datetime) -> list[Placement]:
    return list(Placement.select().where(Placement.created_at >= since).order_by(Placement.created_at, Placement.id))
