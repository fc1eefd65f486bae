"""Background work of a process that decides: keep its host table current, write and purge its journal of facts."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import structlog

from service.db.engine.database import Database, unit_of_work
from service.db.engine.errors import DatabaseUnavailableError
from service.db.engine.fields import epoch_seconds
from service.placer import facts_journal
from service.placer.placer import Placer
from service.settings import Settings
from service.world import Clock

log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
PURGE_INTERVAL_S = 60.0


def run_forever(placer: Placer, db: Database, clock: Clock, settings: Settings) -> None:
    """Run until the process exits, in a thread of its own. A failure that persists is logged once."""
    never, purged_s, failure = threading.Event(), 0.0, None
    while True:
        before, failure = failure, write(placer, db, clock.now())
        if failure is not None and failure != before:
            log.warning("facts.not_written", reason=failure)
        if clock.monotonic() - purged_s >= PURGE_INTERVAL_S:
            purged_s = clock.monotonic()
            purge(placer, clock.now(), settings)
        clock.wait(never, INTERVAL_S)


def write(placer: Placer, db: Database, now: datetime) -> str | None:
    """Take in changed hosts and write the journal once; return why it failed, or None.

    Without the database no decision is made either. A journal with a gap restarts with all hosts.
    """
    now_s = epoch_seconds(now)
    try:
        with unit_of_work(db):
            placer.catch_up(now_s)
        placer.journal.flush(now_s)
    except DatabaseUnavailableError as error:
        return error.detail
    return None


def purge(placer: Placer, now: datetime, settings: Settings) -> None:
    """Delete journal pages beyond the settings' hours and bytes."""
    before = now - timedelta(hours=settings.facts_archive_hours)
    try:
        facts_journal.purge(placer.journal.db, before, keep_bytes=settings.facts_archive_bytes)
    except DatabaseUnavailableError as error:
        log.warning("facts.not_purged", reason=error.detail)
