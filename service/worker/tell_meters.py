"""A worker answers no HTTP: it leaves what it counted of itself where every API process finds it."""

from __future__ import annotations

import threading

import structlog

from service.context import Context
from service.db import measurements
from service.db.engine.database import transaction
from service.db.engine.errors import DatabaseUnavailableError

log = structlog.get_logger(__name__)

INTERVAL_S = 15.0


def tell_for_ever(ctx: Context, process: str) -> None:
    """For a thread that ends with the process."""
    never = threading.Event()
    while True:
        tell(ctx, process)
        ctx.clock.wait(never, INTERVAL_S)


def tell(ctx: Context, process: str) -> None:
    """Once. A database that is away loses nothing: the numbers only grow."""
    try:
        with transaction(ctx.measurements):
            measurements.keep_meters(process, ctx.clock.now(), ctx.meters.families())
    except DatabaseUnavailableError as error:
        log.warning("meters.not_told", reason=error.detail)
