"""One host's libvirt connections: opened when first needed, reopened after a loss, every call under a deadline.

A connection serves one call at a time: when a shared one is lost, libvirt 9's client leaves the second waiter behind
and later crashes on it, and a call beside a long one waits for the next keepalive. So each call takes one for itself.
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
from service.hypervisor.libvirt_link.close_stuck_socket import hang_up
from service.hypervisor.libvirt_link.libvirt_events import subscribe
from service.hypervisor.libvirt_link.pki import TLS_PORT, Pki
from service.hypervisor.libvirt_link.reachability import Reachability
from service.hypervisor.libvirt_link.tls_check import check_tls, unreachable

Result = TypeVar("Result")
KNOCK_TIMEOUT_S = 4.0
OPEN_WAIT_S = 6.0  # how long one caller waits for another caller's attempt to open
CALL_TIMEOUT_S = 15.0
OPEN_S = 10.0  # one that hears nothing for so long while it opens is lost
KEEPALIVE = (5, 3)  # seconds between probes, probes unanswered before the connection counts as lost
MOST_IDLE = 2  # connections kept for the next call


class HostConnection:
    """`call()` is the only way to a host. Safe from any thread; not across a fork."""

    def __init__(self, endpoint: HostEndpoint, pki: Pki, hub: EventHub, *, crew: Crew, prober: Reachability) -> None:
        self.endpoint = endpoint
        self._pki = pki
        self._hub = hub
        self._prober = prober
        self._calls = BoundedCalls(crew)
        self._idle: deque[libvirt.virConnect] = deque()
        self._opening = threading.Lock()
        self._opening_since_s: float | None = None
        self._ears: libvirt.virConnect | None = None  # carries events and nothing else
        self._failed: tuple[float, HostUnreachableError] | None = None
        self._closed = False
        self._used_s = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last call began."""
        return time.monotonic() - self._used_s

    def call(self, action: Callable[[libvirt.virConnect], Result], *, timeout_s: float = CALL_TIMEOUT_S) -> Result:
        """`action(connection)`, with libvirt's errors translated.

        Raises HostUnreachableError at the deadline or when the connection breaks meanwhile, DomainNotFoundError, and
        DomainRefusedError with libvirt's own sentence for everything else.
        """
        event_loop.ensure_running()
        self._used_s = time.monotonic()
        return self.bounded(lambda: self._on_one(action), timeout_s=timeout_s)

    def alone(self, action: Callable[[libvirt.virConnect], Result]) -> Result:
        """`action(connection)` in the caller's thread and without a deadline, for what may rightly take hours."""
        connection = self._connect()
        try:
            return self._attempt(action, connection)
        finally:
            connection.close()

    def dedicated(self, action: Callable[[libvirt.virConnect], Result]) -> Result:
        """`action(connection)` on a connection that is nobody else's and stays open when the action has worked."""
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
        """`function()`, which speaks to this host. Raises HostUnreachableError at the deadline."""
        try:
            return self._calls.run(function, timeout_s=timeout_s)
        except TimeoutError as error:
            self._free_the_opener()
            raise HostUnreachableError(
                f"libvirt on host {self.endpoint.name} did not answer in {timeout_s:g} s"
            ) from error

    def close(self) -> None:
        """Drop the connections; nothing opens them again."""
        self._closed = True
        ears, self._ears = self._ears, None
        with suppress(TimeoutError, libvirt.libvirtError):  # a host that is silent now is left all the same
            if ears is not None:
                self._calls.run(lambda: _leave(ears), timeout_s=KNOCK_TIMEOUT_S)
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
        """Only what has broken, or is too much."""
        while len(self._idle) > leave:
            with suppress(IndexError, libvirt.libvirtError):  # another thread has taken the last one, or it is lost
                self._idle.popleft().close()

    def _ready(self) -> libvirt.virConnect:
        """A connection that is nobody else's now, opened if need be; and the ears open."""
        try:
            mine = self._idle.pop()
        except IndexError:
            mine = None
        if mine is not None and _alive(mine) and _alive(self._ears):
            return mine
        return self._open(mine)

    def _open(self, mine: libvirt.virConnect | None) -> libvirt.virConnect:
        """One attempt per host at a time; who waited for one that failed shares its failure."""
        asked_s = time.monotonic()
        if not self._opening.acquire(timeout=OPEN_WAIT_S):
            self._free_the_opener()
            raise HostUnreachableError(f"libvirt on host {self.endpoint.name} has not answered an earlier attempt yet")
        self._opening_since_s = time.monotonic()
        try:
            self._share_failure(since_s=asked_s)
            if not _alive(self._ears):
                self._ears = self._listen(self._connect())
            return mine if mine is not None and _alive(mine) else self._connect()
        except HostUnreachableError as error:
            self._failed = (time.monotonic(), error)
            raise
        finally:
            self._opening_since_s = None
            self._opening.release()

    def _free_the_opener(self) -> None:
        """libvirt.open() has no deadline: when the host fell silent within it, its socket is taken away."""
        since_s = self._opening_since_s
        if since_s is not None and time.monotonic() - since_s >= OPEN_S:
            hang_up(self.endpoint.address, TLS_PORT, silent_for_s=OPEN_S - 1)

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
        """Nothing is opened here that another process has not opened first, or that is open already."""
        if not _alive(self._ears):
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
