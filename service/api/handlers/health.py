"""Handlers of the health checks."""

from __future__ import annotations

from service.db.engine.database import unit_of_work
from service.edge.call import Call, Reply
from service.errors import UnavailableError
from service.jobs.views import last_round_at
from service.views.values import show_time

ROUNDS_MISSED = 4  # after this many missed rounds the worker counts as stopped


def alive(call: Call) -> Reply:
    """Show whether the API responds."""
    return Reply({"status": "ok"})


def ready(call: Call) -> Reply:
    """Show whether jobs are run: a worker has made its rounds recently."""
    with unit_of_work(call.ctx.db):
        round_at = last_round_at("observe_hosts")
    longest_s = ROUNDS_MISSED * call.ctx.settings.facts_interval_s
    if round_at is None or (call.ctx.clock.now() - round_at).total_seconds() > longest_s:
        since = f"since {show_time(round_at)}" if round_at else "yet"
        raise UnavailableError(f"No worker has made a round {since}: start one.", code="service.no_worker")
    return Reply({"status": "ready"})
