"""What is noted of every request that was answered: a line in the log, and the counters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bottle

from service import logs
from service.context import Context

ACTOR = "nacre.actor"  # in the environment: who asked, once that is known
NO_ROUTE = "-"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
QUIET = ("/healthz", "/readyz", "/metrics")  # asked for by machines, all day long; a refusal is written down


@contextmanager
def watched(ctx: Context, route: str) -> Iterator[None]:
    """Around a request's whole answer. `route` is the path's template."""
    began_s = ctx.clock.monotonic()
    try:
        yield
    finally:
        note(ctx, route, bottle.response.status_code, ctx.clock.monotonic() - began_s)


def note(ctx: Context, route: str, status: int, seconds: float) -> None:
    """This thread's request was answered. `route` is NO_ROUTE where there is none."""
    request = bottle.request
    method = request.method if request.method in METHODS else "other"  # anybody may send any word
    ctx.meters.http(method, route, status, seconds)
    if route not in QUIET or status >= 400:
        logs.access(
            method,
            request.path,
            status,
            ms=seconds * 1000,
            actor=str(request.environ.get(ACTOR, "-")),
            source=str(request.environ.get("REMOTE_ADDR", "-")),
        )
