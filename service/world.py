"""Contracts of the outside world: clock, ids, threads and wake-ups."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

import structlog

log = structlog.get_logger(__name__)

# A UUID of version 4 is 122 random bits and 6 fixed ones. Built by hand it costs half as much as uuid.UUID.
ID_RANDOM, ID_VERSION_4 = ~(0xF << 76 | 0x3 << 62), 0x4 << 76 | 0x2 << 62


class Clock(Protocol):
    """Source of time; all waiting in the service goes through it."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds since a fixed moment; never decreases."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set; return False after `timeout_s` seconds."""


class Ids(Protocol):
    """Source of new ids."""

    def uuid(self) -> str:
        """Return a new UUID as text."""


class Threads(Protocol):
    """Starter of threads."""

    def start(self, name: str, function: Callable[[], None]) -> None:
        """Run `function` in a daemon thread; log an exception that it raises."""


class Listener(Protocol):
    """Subscription to topics, effective from its creation.

    To miss no change: subscribe, read the state, wait, read the state again.
    """

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring since the last wait; return False after `timeout_s` seconds."""

    def ring(self) -> None:
        """Wake this listener only."""

    def close(self) -> None:
        """End the subscription."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transactions(Protocol):
    """Part of a database that a bell uses."""

    def after_commit(self, function: Callable[[], object]) -> object:
        """Call `function` after the current transaction commits, or now if there is none."""

    def top_transaction(self) -> object:
        """Return the current transaction, a new object for each, or None."""


class Bell(Protocol):
    """Wake-up signal to other threads and processes: state may have changed.

    It carries no data, and may ring without a change.
    """

    def ring(self, *topics: str) -> None:
        """Wake all listeners to any of the topics; never blocks."""

    def ring_at_commit(self, transactions: Transactions, *topics: str) -> None:
        """Ring after the current transaction commits; not at all if it is rolled back."""

    def listen(self, *topics: str) -> Listener:
        """Subscribe to topics."""


class SystemClock:
    """System clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


class SystemIds:
    """Source of random UUIDs (version 4)."""

    def uuid(self) -> str:
        digits = f"{int.from_bytes(os.urandom(16)) & ID_RANDOM | ID_VERSION_4:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class SystemThreads:
    """Native daemon threads."""

    def start(self, name: str, function: Callable[[], None]) -> None:
        threading.Thread(target=_logged, args=(name, function), name=name, daemon=True).start()


def _logged(name: str, function: Callable[[], None]) -> None:
    try:
        function()
    except Exception:
        log.exception("thread.failed", thread=name)
