"""The outside world as values to hand down: time, ids, chance, threads, wake-ups. A simulation hands down others."""

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

# A UUID of version 4 is 122 random bits around six that say so: it costs half as much as by way of uuid.UUID.
ID_RANDOM, ID_VERSION_4 = ~(0xF << 76 | 0x3 << 62), 0x4 << 76 | 0x2 << 62


class Clock(Protocol):
    """Time. Whoever waits, waits here."""

    def now(self) -> datetime:
        """The instant, in UTC, aware."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until the event is set; False when it is not after `timeout_s`."""


class Ids(Protocol):
    """Where new ids come from."""

    def uuid(self) -> str:
        """A new UUID as text."""


class Threads(Protocol):
    """How a thread begins."""

    def start(self, name: str, function: Callable[[], None]) -> None:
        """Run `function` in a thread that does not keep the process alive. What it raises is logged."""


class Listener(Protocol):
    """Ears for some topics, from the moment they were made. Listen, look, wait, look again: nothing is missed."""

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring since the last wait; False when there was none within `timeout_s`."""

    def ring(self) -> None:
        """Wake this listener only."""

    def close(self) -> None:
        """Listen no more."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transactions(Protocol):
    """A database, as far as a bell must know it."""

    def after_commit(self, function: Callable[[], object]) -> object:
        """Call it once the transaction under way is in the database; at once when there is none."""

    def top_transaction(self) -> object:
        """The transaction under way, another object for each; None when there is none."""


class Bell(Protocol):
    """Tells other threads and processes that something may have changed. It carries no data and may ring in vain."""

    def ring(self, *topics: str) -> None:
        """Wake everybody who listens to one of the topics. Never blocks."""

    def ring_at_commit(self, transactions: Transactions, *topics: str) -> None:
        """The same, once the transaction under way is in the database; not at all when it is rolled back."""

    def listen(self, *topics: str) -> Listener:
        """Begin to listen."""


class SystemClock:
    """The computer's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


class SystemIds:
    """Random UUIDs."""

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
