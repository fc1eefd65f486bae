"""One host's libvirt connections: opened when first needed, reopened after a loss, every call under a deadline.

A connection serves one thread only: when a shared one is lost, libvirt 9's client leaves the second waiter behind and
later crashes on it, and a call beside a long one waits for the next keepalive. So each calling thread has its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import quote

import libvirt

from service.errors import NacreError
from service.hypervisor import event_loop
from service.hypervisor.bounded import BoundedCalls
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.errors import DomainNotFoundError, DomainRefusedError, HostUnreachableError
from service.hypervisor.events import EventHub
from service.hypervisor.knock import Pki, knock
from service.hypervisor.libvirt_events import subscribe

Result = TypeVar("Result")
KNOCK_TIMEOUT_S = 4.0
OPEN_WAIT_S = 6.0  # how long one caller waits for another caller's attempt to open
CALL_TIMEOUT_S = 15.0
KEEPALIVE = (5, 3)  # seconds between probes, probes unanswered before the connection counts as lost


class HostConnection:
    """`call()` is the only way to a host. Safe from any thread; not across a fork."""

    def __init__(self, endpoint: HostEndpoint, pki: Pki, hub: EventHub) -> None:
        self.endpoint = endpoint
        self._pki = pki
        self._hub = hub
        self._calls = BoundedCalls(endpoint.name)
        self._mine = threading.local()  # .connection: the calling thread's own
        self._opening = threading.Lock()
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
        return self.bounded(lambda: self._attempt(action, self._ready()), timeout_s=timeout_s)

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
            raise HostUnreachableError(
                f"libvirt on host {self.endpoint.name} did not answer in {timeout_s:g} s"
            ) from error

    def close(self) -> None:
        """Drop the connections; nothing opens them again."""
        self._closed = True
        ears, self._ears = self._ears, None
        if ears is not None:
            with suppress(TimeoutError, libvirt.libvirtError):  # a host that is silent now is left all the same
                self._calls.run(lambda: _hang_up(ears), timeout_s=KNOCK_TIMEOUT_S)
        self._calls.close()

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

    def _ready(self) -> libvirt.virConnect:
        """The calling thread's own connection, opened if need be; and the ears open."""
        mine = getattr(self._mine, "connection", None)
        if not (_alive(mine) and _alive(self._ears)):
            mine = self._mine.connection = self._open(mine)
        return mine

    def _open(self, mine: libvirt.virConnect | None) -> libvirt.virConnect:
        """One attempt per host at a time; who waited for one that failed shares its failure."""
        asked_s = time.monotonic()
        if not self._opening.acquire(timeout=OPEN_WAIT_S):
            raise HostUnreachableError(f"libvirt on host {self.endpoint.name} has not answered an earlier attempt yet")
        try:
            self._share_failure(since_s=asked_s)
            if not _alive(self._ears):
                self._ears = self._listen(self._connect())
            return mine if _alive(mine) else self._connect()
        except HostUnreachableError as error:
            self._failed = (time.monotonic(), error)
            raise
        finally:
            self._opening.release()

    def _share_failure(self, *, since_s: float) -> None:
        if self._failed is not None and self._failed[0] > since_s:
            raise HostUnreachableError(self._failed[1].detail)

    def _connect(self) -> libvirt.virConnect:
        if self._closed:
            raise HostUnreachableError(f"the connection to host {self.endpoint.name} was closed")
        knock(self.endpoint, self._pki, timeout_s=KNOCK_TIMEOUT_S)
        try:
            connection = libvirt.open(
                f"qemu+tls://{self.endpoint.address}/system?pkipath={quote(str(self._pki.folder))}&no_tty=1"
            )
            connection.setKeepAlive(*KEEPALIVE)
        except libvirt.libvirtError as error:
            raise HostUnreachableError(f"libvirt on host {self.endpoint.name} cannot be opened: {error}") from error
        return connection

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


def _hang_up(connection: libvirt.virConnect) -> None:
    connection.unregisterCloseCallback()
    connection.close()
