"""Behind the requests of a process: its table of hosts is kept near the present, and what decisions saw is written."""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog

from service.context import Context
from service.db import facts_journal
from service.db.engine.database import unit_of_work
from service.db.engine.errors import DatabaseUnavailableError
from service.db.host_facts import seconds

log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
PURGE_INTERVAL_S = 60.0


def write_for_ever(ctx: Context) -> None:
    """For a thread that ends with the process. Trouble that lasts is told once."""
    never, purged_s, trouble = threading.Event(), 0.0, None
    while True:
        before, trouble = trouble, write(ctx)
        if trouble is not None and trouble != before:
            log.warning("facts.not_written", reason=trouble)
        if ctx.clock.monotonic() - purged_s >= PURGE_INTERVAL_S:
            purged_s = ctx.clock.monotonic()
            purge(ctx)
        ctx.clock.wait(never, INTERVAL_S)


def write(ctx: Context) -> str | None:
    """Once; returns why it could not be. While the database is away nothing is decided, either; a journal with a gap
    begins anew."""
    now_s = seconds(ctx.clock.now()) or 0.0
    try:
        with unit_of_work(ctx.db):
            ctx.placer.catch_up(now_s)
        ctx.placer.journal.flush(now_s)
    except DatabaseUnavailableError as error:
        return error.detail
    return None


def purge(ctx: Context) -> None:
    """Forget what was kept for long enough, or is too much."""
    before = ctx.clock.now() - timedelta(hours=ctx.settings.facts_archive_hours)
    try:
        facts_journal.purge(ctx.placer.journal.db, before, keep_bytes=ctx.settings.facts_archive_bytes)
    except DatabaseUnavailableError as error:
        log.warning("facts.not_purged", reason=error.detail)
