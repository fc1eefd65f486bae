"""Distribution of domain events from a driver's callbacks to watches and handlers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import structlog

from service.hypervisor.contract import DomainEvent

log = structlog.get_logger(__name__)
LOST = "lost"  # the connection to the host ended: the event a watcher waits for may have been missed
POWERED_OFF = "powered_off"  # requested by the guest; "stopped" follows
DEVICES = "devices"  # a device was unplugged, or the guest refused to release it
_PUBLIC = frozenset({"started", "resumed", "suspended", "stopped", "migrated", "crashed", "io_error", "rebooted"})


@dataclass(frozen=True, slots=True)
class Signal:
    """An event of a domain, at `at_s` of this process's monotonic clock."""

    kind: str
    at_s: float = field(default_factory=time.monotonic)


class Watch:
    """Subscription to the events of one domain on one host."""

    def __init__(self) -> None:
        self._signals: SimpleQueue[Signal] = SimpleQueue()

    def put(self, signal: Signal) -> None:
        """Queue a signal. For the event loop."""
        self._signals.put(signal)

    def next(self, timeout_s: float) -> Signal | None:
        """Return the next signal, or None after `timeout_s`."""
        try:
            return self._signals.get(timeout=timeout_s) if timeout_s > 0 else self._signals.get_nowait()
        except Empty:
            return None


class EventHub:
    """Distributor of domain events to watches and handlers.

    The event loop fills the watches; handlers run in a thread of their own, so a slow handler delays no watch.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[tuple[str, str], list[Watch]] = {}
        self._handlers: tuple[Callable[[DomainEvent], None], ...] = ()
        self._outgoing: SimpleQueue[DomainEvent | None] = SimpleQueue()
        self._dispatching = False

    @contextmanager
    def watch(self, host: str, vm_id: str) -> Iterator[Watch]:
        """Subscribe to one domain for the duration of the block."""
        watch = Watch()
        with self._lock:
            self._watches.setdefault((host, vm_id), []).append(watch)
        try:
            yield watch
        finally:
            with self._lock:
                left = [other for other in self._watches.pop((host, vm_id)) if other is not watch]
                if left:
                    self._watches[(host, vm_id)] = left

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        """Call `handler` for every public event from now on."""
        with self._lock:
            self._handlers += (handler,)
            if not self._dispatching:
                self._dispatching = True
                threading.Thread(target=self._dispatch, name="domain-events", daemon=True).start()

    def publish(self, host: str, vm_id: str, kind: str) -> None:
        """Distribute an event of one domain."""
        with self._lock:
            watches = tuple(self._watches.get((host, vm_id), ()))
        for watch in watches:
            watch.put(Signal(kind))
        if kind in _PUBLIC:
            self._outgoing.put(DomainEvent(host=host, vm_id=vm_id, kind=kind))

    def publish_lost(self, host: str) -> None:
        """Wake every watcher of a domain of this host."""
        with self._lock:
            watches = [watch for (name, _), found in self._watches.items() if name == host for watch in found]
        for watch in watches:
            watch.put(Signal(LOST))

    def close(self) -> None:
        """End the dispatcher after the queued events."""
        self._outgoing.put(None)

    def _dispatch(self) -> None:
        while (event := self._outgoing.get()) is not None:
            for handler in self._handlers:
                try:
                    handler(event)
                except Exception:  # top of a thread: one handler's fault must not stop the others
                    log.exception("domain_event_handler_failed", host=event.host, vm_id=event.vm_id, kind=event.kind)
