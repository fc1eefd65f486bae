"""Access log and metrics of every request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bottle

from service import logs
from service.context import Context

ACTOR = "nacre.actor"  # key in the environment: the actor's name, after authentication
NO_ROUTE = "-"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
QUIET = ("/healthz", "/readyz", "/metrics")  # polled by machines: only errors are logged


@contextmanager
def watched(ctx: Context, route: str) -> Iterator[None]:
    """Record the request in the with block. `route` is the path's template."""
    began_s = ctx.clock.monotonic()
    try:
        yield
    finally:
        note(ctx, route, bottle.response.status_code, ctx.clock.monotonic() - began_s)


def note(ctx: Context, route: str, status: int, seconds: float) -> None:
    """Record the request of this thread. `route` is NO_ROUTE if none matched."""
    request = bottle.request
    method = request.method if request.method in METHODS else "other"  # clients may send any word
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
