"""Listeners within one process, and a bell for one process (tests, simulation)."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from service.world import Clock, Transactions


class LocalListener:
    """Subscription of a thread: an event that is set by rings of its topics."""

    def __init__(self, desk: Desk, clock: Clock, topics: tuple[str, ...]) -> None:
        self.topics = topics
        self._desk = desk
        self._clock = clock
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake this listener only."""
        self._rung.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring since the last wait; False if there is none in `timeout_s`."""
        rung = self._clock.wait(self._rung, timeout_s)
        self._rung.clear()
        return rung

    def close(self) -> None:
        """End the subscription."""
        self._desk.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Desk:
    """Registry of a process's listeners, by topic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_topic: dict[str, set[LocalListener]] = {}

    def add(self, listener: LocalListener) -> None:
        """Register the listener for its topics."""
        with self._lock:
            for topic in listener.topics:
                self._by_topic.setdefault(topic, set()).add(listener)

    def remove(self, listener: LocalListener) -> None:
        """Remove the listener; does nothing if it is not registered."""
        with self._lock:
            for topic in listener.topics:
                listeners = self._by_topic.get(topic, set())
                listeners.discard(listener)
                if not listeners:
                    self._by_topic.pop(topic, None)

    def ring(self, topics: Iterable[str]) -> None:
        """Wake the listeners of any of the topics."""
        with self._lock:
            for listener in {found for topic in topics for found in self._by_topic.get(topic, ())}:
                listener.ring()

    def ring_all(self) -> None:
        """Wake all listeners: some ring may have been lost."""
        with self._lock:
            for listener in {found for listeners in self._by_topic.values() for found in listeners}:
                listener.ring()


class MemoryBell:
    """A bell for one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._desk = Desk()

    def ring(self, *topics: str) -> None:
        """Wake the listeners of any of the topics in this process."""
        self._desk.ring(topics)

    def ring_at_commit(self, transactions: Transactions, *topics: str) -> None:
        """Wake them once the transaction under way is committed."""
        transactions.after_commit(lambda: self.ring(*topics))

    def listen(self, *topics: str) -> LocalListener:
        """Subscribe to the topics."""
        listener = LocalListener(self._desk, self._clock, topics)
        self._desk.add(listener)
        return listener
