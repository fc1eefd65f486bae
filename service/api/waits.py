"""What holds a thread for long (long polls, uploads): there is a fixed number of them; more are told to come back."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.context import Context
from service.db.database import unit_of_work
from service.errors import FieldError, InvalidError, UnavailableError
from service.jobs.views import JobView, job_view, wait_finished


class Slots:
    """As many calls of a kind as may go on at the same time."""

    def __init__(self, slots: int) -> None:
        self._free = threading.BoundedSemaphore(slots)

    @contextmanager
    def one(self, busy: str) -> Iterator[None]:
        """Hold a slot. Raises UnavailableError with the sentence `busy` when none is free."""
        if not self._free.acquire(blocking=False):
            raise UnavailableError(busy, code="service.busy")
        try:
            yield
        finally:
            self._free.release()

    def job(self, ctx: Context, job_id: str, wait_s: float, *, is_new: bool) -> JobView:
        """The job at its end, or as it is after `wait_s`. Raises UnavailableError when no slot is free.

        A job that is new was accepted by this very call, which therefore succeeds: without a slot it does not wait.
        """
        if wait_s <= 0:
            return _now(ctx, job_id)
        try:
            with self.one("Too many calls wait already: ask again without 'wait'."):
                return wait_finished(ctx, job_id, wait_s)
        except UnavailableError as error:
            if not is_new or error.code != "service.busy":
                raise
            return _now(ctx, job_id)


def _now(ctx: Context, job_id: str) -> JobView:
    with unit_of_work(ctx.db):
        return job_view(job_id)


def seconds(text: str | None, at_most_s: float) -> float:
    """The `wait` of a query, at most what the settings allow. Raises InvalidError."""
    if text is None:
        return 0.0
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = math.nan
    if not 0 <= wait_s < math.inf:
        told = "a number of seconds, 0 or more"
        raise InvalidError(f"wait is {told}.", errors=(FieldError("wait", told),))
    return min(wait_s, at_most_s)
