"""Publication of a worker's metrics through the database to the API processes.

A worker serves no HTTP, so Prometheus cannot scrape it.
"""

from __future__ import annotations

import threading

import structlog

from service.context import Context
from service.db import measurements
from service.db.engine.database import transaction
from service.db.engine.errors import DatabaseUnavailableError

log = structlog.get_logger(__name__)

INTERVAL_S = 15.0


def publish_for_ever(ctx: Context, process: str) -> None:
    """Publish every INTERVAL_S. For a thread that ends with the process."""
    never = threading.Event()
    while True:
        publish(ctx, process)
        ctx.clock.wait(never, INTERVAL_S)


def publish(ctx: Context, process: str) -> None:
    """Publish once. An unreachable database loses nothing: the numbers only grow."""
    try:
        with transaction(ctx.measurements):
            measurements.keep_meters(process, ctx.clock.now(), ctx.meters.families())
    except DatabaseUnavailableError as error:
        log.warning("meters.not_published", reason=error.detail)
