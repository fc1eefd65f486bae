"""Layers around every handler, outermost first."""

from __future__ import annotations

import functools

from service.api.dry_run import tried
from service.api.idempotency import answered_once
from service.api.routes import ROUTES
from service.edge.call import AnyCall, Outcome
from service.edge.etags import guard, tagged
from service.edge.route import Handler, Layer, Route


def upload_slot(route: Route, handler: Handler, call: AnyCall) -> Outcome:
    """Limit concurrent raw bodies by slots. Raises UnavailableError if none is free."""
    if route.body != "stream":
        return handler(call)
    with call.slots.uploads.one("Too many uploads are in progress: try again later."):
        return handler(call)


LAYERS: tuple[Layer, ...] = (upload_slot, tagged, answered_once, guard(ROUTES), tried)


def layered(route: Route) -> Handler:
    """Return the route's handler with all layers around it."""
    handler = route.handler
    for layer in reversed(LAYERS):
        handler = functools.partial(layer, route, handler)
    return handler
