"""Session of an open console: bytes between a websocket and a VM."""

from __future__ import annotations

import threading
from contextlib import suppress

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.server import ServerConnection

from service.hypervisor.contract import Console
from service.hypervisor.errors import ConsoleClosedError
from service.world import Clock, Threads

POLL_S = 5.0  # how often the session of an idle console checks its deadline
LONGEST_S = 12 * 3600.0
LONGEST_REASON = 120  # bytes that fit into a close frame


class Session:
    """Session of one console.

    The caller's thread copies the client's input, another one the VM's output.
    """

    def __init__(self, websocket: ServerConnection, console: Console, clock: Clock) -> None:
        self._websocket = websocket
        self._console = console
        self._clock = clock
        self._ends_s = clock.monotonic() + LONGEST_S
        self._closing = threading.Event()

    def run(self, threads: Threads) -> None:
        """Copy in both directions until one end closes; then close both."""
        threads.start("console-output", self._copy_output)
        try:
            with suppress(ConnectionClosed):  # without a close frame: handled like one
                for typed in self._websocket:
                    self._console.write(typed.encode() if isinstance(typed, str) else typed)
        except ConsoleClosedError as error:
            self._close_websocket(error.detail)
        finally:
            self._console.close()

    def _copy_output(self) -> None:
        try:
            with suppress(ConnectionClosed):  # the client has disconnected
                while self._clock.monotonic() < self._ends_s:
                    output = self._console.read(POLL_S)
                    if output:
                        self._websocket.send(output)
                self._close_websocket(f"a console is open for {LONGEST_S / 3600:g} hours at most: open it again")
        except ConsoleClosedError as error:
            self._close_websocket(error.detail)
        finally:
            self._console.close()

    def _close_websocket(self, reason: str) -> None:
        """Close the websocket with a reason; only the first call counts."""
        if not self._closing.is_set():
            self._closing.set()
            self._websocket.close(CloseCode.NORMAL_CLOSURE, shortened(reason))


def shortened(reason: str) -> str:
    """Shorten the reason to the size of a close frame."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")
