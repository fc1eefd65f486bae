"""Jobs over HTTP."""

from __future__ import annotations

import re

from service.api import show
from service.api.call import Accepted, Call, Reply
from service.errors import FieldError, InvalidError
from service.jobs.views import job_views
from service.operations import cancel_job
from service.operations.purge_jobs import ROUNDS

FILTERS = ("state", "object_id", "limit", "rounds")
STATES = ("queued", "waiting", "running", "succeeded", "failed", "cancelled")
LIMIT = re.compile(r"[0-9]{1,4}")
DEFAULT_LIMIT = 50
MAX_LIMIT = 500


def listing(call: Call) -> Reply:
    """The newest jobs first; `state`, `object_id` and `limit` narrow it. `rounds=true` shows the service's own too."""
    with_rounds = _one_of("rounds", call.query.get("rounds"), ("true", "false")) == "true"
    views = job_views(
        limit=_limit(call.query.get("limit")),
        state=_one_of("state", call.query.get("state"), STATES),
        object_id=call.query.get("object_id"),
        except_kinds=() if with_rounds else ROUNDS,
    )
    return Reply({"items": [show.job(view) for view in views]})


def one(call: Call) -> Accepted:
    """One job; with `wait`, once it has ended or that many seconds are over."""
    return Accepted(call.ref, is_new=False)


def cancel(call: Call) -> Reply:
    """Ask for the end of a job: it is undone, then cancelled."""
    return Reply(show.job(cancel_job.cancel(call.ctx, call.actor, call.ref)), status=202)


def _one_of(field: str, text: str | None, allowed: tuple[str, ...]) -> str | None:
    if text is not None and text not in allowed:
        told = f"one of {', '.join(allowed)}"
        raise InvalidError(f"{field} is {told}.", errors=(FieldError(field, told),))
    return text


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not LIMIT.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        told = f"a whole number from 1 to {MAX_LIMIT}"
        raise InvalidError(f"limit is {told}.", errors=(FieldError("limit", told),))
    return int(text)
