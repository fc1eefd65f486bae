"""One open console: bytes from a websocket to a VM and back, until one of the two ends."""

from __future__ import annotations

import threading
from contextlib import suppress

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.server import ServerConnection

from service.hypervisor.contract import Console
from service.hypervisor.errors import ConsoleClosedError
from service.world import Clock, Threads

LOOK_S = 5.0  # how often a silent console's session looks at the clock
LONGEST_S = 12 * 3600.0
LONGEST_REASON = 120  # bytes that a close frame has room for


class Session:
    """The caller's thread carries what is typed; another one what the VM says."""

    def __init__(self, websocket: ServerConnection, console: Console, clock: Clock) -> None:
        self._websocket = websocket
        self._console = console
        self._clock = clock
        self._ends_s = clock.monotonic() + LONGEST_S
        self._told = threading.Event()

    def run(self, threads: Threads) -> None:
        """Return when it is over; both ends are closed then."""
        threads.start("console-said", self._carry_said)
        try:
            with suppress(ConnectionClosed):  # without a word; the end is the same
                for typed in self._websocket:
                    self._console.write(typed.encode() if isinstance(typed, str) else typed)
        except ConsoleClosedError as error:
            self._tell(error.detail)
        finally:
            self._console.close()

    def _carry_said(self) -> None:
        try:
            with suppress(ConnectionClosed):  # nobody listens any more
                while self._clock.monotonic() < self._ends_s:
                    said = self._console.read(LOOK_S)
                    if said:
                        self._websocket.send(said)
                self._tell(f"a console is open for {LONGEST_S / 3600:g} hours at most: open it again")
        except ConsoleClosedError as error:
            self._tell(error.detail)
        finally:
            self._console.close()

    def _tell(self, reason: str) -> None:
        """Close the websocket, saying why: the first reason is the true one."""
        if not self._told.is_set():
            self._told.set()
            self._websocket.close(CloseCode.NORMAL_CLOSURE, shortened(reason))


def shortened(reason: str) -> str:
    """As much as a close frame has room for."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")
