"""A host's libvirt connections: opened when needed, a deadline for every call.

A connection serves one call at a time: when a shared one is lost, libvirt 9's client abandons the second waiter and
later crashes on it, and a call in parallel with a long one waits for the next keepalive. So each call takes its own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import libvirt

from service.errors import NacreError
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.errors import DomainNotFoundError, DomainRefusedError, HostUnreachableError
from service.hypervisor.events import EventHub
from service.hypervisor.libvirt_link import event_loop
from service.hypervisor.libvirt_link.bounded import BoundedCalls, Crew
from service.hypervisor.libvirt_link.close_stuck_socket import shut_down_stuck
from service.hypervisor.libvirt_link.libvirt_events import subscribe
from service.hypervisor.libvirt_link.pki import TLS_PORT, Pki
from service.hypervisor.libvirt_link.reachability import Reachability
from service.hypervisor.libvirt_link.tls_check import check_tls, unreachable

Result = TypeVar("Result")
KNOCK_TIMEOUT_S = 4.0
OPEN_WAIT_S = 6.0  # how long one caller waits for another caller's attempt to open
CALL_TIMEOUT_S = 15.0
OPEN_S = 10.0  # a connection without data for so long while it opens is lost
KEEPALIVE = (5, 3)  # seconds between probes, probes unanswered before the connection counts as lost
MOST_IDLE = 2  # idle connections kept for the next call


class HostConnection:
    """Connections to one host. Safe from any thread; not across a fork."""

    def __init__(self, endpoint: HostEndpoint, pki: Pki, hub: EventHub, *, crew: Crew, prober: Reachability) -> None:
        self.endpoint = endpoint
        self._pki = pki
        self._hub = hub
        self._prober = prober
        self._calls = BoundedCalls(crew)
        self._idle: deque[libvirt.virConnect] = deque()
        self._opening = threading.Lock()
        self._opening_since_s: float | None = None
        self._event_connection: libvirt.virConnect | None = None  # for events only
        self._failed: tuple[float, HostUnreachableError] | None = None
        self._closed = False
        self._used_s = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last call began."""
        return time.monotonic() - self._used_s

    def call(self, action: Callable[[libvirt.virConnect], Result], *, timeout_s: float = CALL_TIMEOUT_S) -> Result:
        """Return `action(connection)`, with libvirt's errors translated.

        Raises HostUnreachableError at the deadline or when the connection breaks meanwhile, DomainNotFoundError, and
        DomainRefusedError with libvirt's message for everything else.
        """
        event_loop.ensure_running()
        self._used_s = time.monotonic()
        return self.bounded(lambda: self._on_one(action), timeout_s=timeout_s)

    def alone(self, action: Callable[[libvirt.virConnect], Result]) -> Result:
        """Return `action(connection)`, in the caller's thread, without a deadline.

        For actions that may take hours.
        """
        connection = self._connect()
        try:
            return self._attempt(action, connection)
        finally:
            connection.close()

    def dedicated(self, action: Callable[[libvirt.virConnect], Result]) -> Result:
        """Return `action(connection)` on a connection of the caller's own.

        It stays open when the action has succeeded.
        """
        event_loop.ensure_running()

        def run() -> Result:
            connection = self._connect()
            try:
                return self._attempt(action, connection)
            except BaseException:
                connection.close()
                raise

        return self.bounded(run, timeout_s=CALL_TIMEOUT_S)

    def bounded(self, function: Callable[[], Result], *, timeout_s: float) -> Result:
        """Return `function()`, which calls this host.

        Raises HostUnreachableError at the deadline.
        """
        try:
            return self._calls.run(function, timeout_s=timeout_s)
        except TimeoutError as error:
            self._free_the_opener()
            raise HostUnreachableError(
                f"libvirt on host {self.endpoint.name} did not answer in {timeout_s:g} s"
            ) from error

    def close(self) -> None:
        """Close the connections for good."""
        self._closed = True
        event_connection, self._event_connection = self._event_connection, None
        with suppress(TimeoutError, libvirt.libvirtError):  # also if the host is unreachable now
            if event_connection is not None:
                self._calls.run(lambda: _leave(event_connection), timeout_s=KNOCK_TIMEOUT_S)
            self._calls.run(lambda: self._close_idle(leave=0), timeout_s=KNOCK_TIMEOUT_S)

    def _attempt(self, action: Callable[[libvirt.virConnect], Result], connection: libvirt.virConnect) -> Result:
        try:
            return action(connection)
        except libvirt.libvirtError as error:
            raise self._translated(error, alive=_alive(connection)) from error

    def _translated(self, error: libvirt.libvirtError, *, alive: bool) -> NacreError:
        where = f"libvirt on host {self.endpoint.name}"
        if not alive:
            return HostUnreachableError(f"the connection to {where} broke: {error}")
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return DomainNotFoundError(f"{where}: {error}")
        return DomainRefusedError(f"{where}: {error}")

    def _on_one(self, action: Callable[[libvirt.virConnect], Result]) -> Result:
        connection = self._ready()
        try:
            return self._attempt(action, connection)
        finally:
            self._idle.append(connection)
            self._close_idle(leave=0 if self._closed else MOST_IDLE)

    def _close_idle(self, *, leave: int) -> None:
        """Close broken and surplus idle connections."""
        while len(self._idle) > leave:
            with suppress(IndexError, libvirt.libvirtError):  # another thread has taken the last one, or it is lost
                self._idle.popleft().close()

    def _ready(self) -> libvirt.virConnect:
        """Take an idle connection or open one, and make sure the event connection is open."""
        try:
            mine = self._idle.pop()
        except IndexError:
            mine = None
        if mine is not None and _alive(mine) and _alive(self._event_connection):
            return mine
        return self._open(mine)

    def _open(self, mine: libvirt.virConnect | None) -> libvirt.virConnect:
        """Open a connection; one attempt per host at a time, whose failure waiters share."""
        asked_s = time.monotonic()
        if not self._opening.acquire(timeout=OPEN_WAIT_S):
            self._free_the_opener()
            raise HostUnreachableError(f"libvirt on host {self.endpoint.name} has not answered an earlier attempt yet")
        self._opening_since_s = time.monotonic()
        try:
            self._share_failure(since_s=asked_s)
            if not _alive(self._event_connection):
                self._event_connection = self._listen(self._connect())
            return mine if mine is not None and _alive(mine) else self._connect()
        except HostUnreachableError as error:
            self._failed = (time.monotonic(), error)
            raise
        finally:
            self._opening_since_s = None
            self._opening.release()

    def _free_the_opener(self) -> None:
        """Shut down the socket of a libvirt.open() that hangs: it has no deadline."""
        since_s = self._opening_since_s
        if since_s is not None and time.monotonic() - since_s >= OPEN_S:
            shut_down_stuck(self.endpoint.address, TLS_PORT, silent_for_s=OPEN_S - 1)

    def _share_failure(self, *, since_s: float) -> None:
        if self._failed is not None and self._failed[0] > since_s:
            raise HostUnreachableError(self._failed[1].detail)

    def _connect(self) -> libvirt.virConnect:
        if self._closed:
            raise HostUnreachableError(f"the connection to host {self.endpoint.name} was closed")
        self._check_it_opens()
        try:
            connection = libvirt.open(self._pki.url(self.endpoint.address))
            connection.setKeepAlive(*KEEPALIVE)
        except libvirt.libvirtError as error:
            raise HostUnreachableError(f"libvirt on host {self.endpoint.name} cannot be opened: {error}") from error
        return connection

    def _check_it_opens(self) -> None:
        """Check in another process that the host opens, unless a connection is open."""
        if not _alive(self._event_connection):
            trouble = self._prober.ask([self.endpoint])[self.endpoint]
            if trouble is not None:
                raise HostUnreachableError(unreachable(self.endpoint, trouble))
        check_tls(self.endpoint, self._pki, timeout_s=KNOCK_TIMEOUT_S)

    def _listen(self, connection: libvirt.virConnect) -> libvirt.virConnect:
        try:
            connection.registerCloseCallback(self._lost, None)
            subscribe(connection, self.endpoint.name, self._hub)
        except libvirt.libvirtError as error:
            raise self._translated(error, alive=False) from error
        return connection

    def _lost(self, _connection: libvirt.virConnect, _reason: int, _opaque: object) -> None:
        self._hub.publish_lost(self.endpoint.name)


def _alive(connection: libvirt.virConnect | None) -> bool:
    return connection is not None and connection.isAlive() == 1


def _leave(connection: libvirt.virConnect) -> None:
    connection.unregisterCloseCallback()
    connection.close()
