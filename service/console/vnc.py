"""A VM's VNC server as a stream of bytes, behind the contract of a serial console."""

from __future__ import annotations

import socket
from contextlib import suppress

from service.errors import UnavailableError
from service.hypervisor.errors import ConsoleClosedError
from service.hypervisor.values import Display

CONNECT_S = 5.0
SEND_S = 30.0
PIECE_BYTES = 64 * 1024


class VncStream:
    """A connection to QEMU's VNC server. Its content, with the password, is passed on."""

    def __init__(self, display: Display) -> None:
        """Connect. Raises UnavailableError when the VNC server does not respond."""
        try:
            self._socket = socket.create_connection((display.address, display.port), timeout=CONNECT_S)
        except OSError as error:
            where = f"{display.address}:{display.port}"
            raise UnavailableError(f"VNC at {where} does not respond: {error}", code="console.unreachable") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(SEND_S)

    def read(self, timeout_s: float) -> bytes:
        """Return new data; waits at most the socket's timeout. Raises ConsoleClosedError."""
        del timeout_s  # a socket has one timeout for both ways
        try:
            data = self._socket.recv(PIECE_BYTES)
        except TimeoutError:
            return b""
        except OSError as error:
            raise ConsoleClosedError(f"the connection to the VM's screen broke: {error}") from error
        if not data:
            raise ConsoleClosedError("the VM's screen has ended: it stopped, or moved to another host")
        return data

    def write(self, data: bytes) -> None:
        """Send data. Raises ConsoleClosedError."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConsoleClosedError(f"the VM's screen takes nothing more: {error}") from error

    def close(self) -> None:
        """Close the connection, and end a read() that waits on it; may be repeated."""
        with suppress(OSError):  # the other side may have ended it
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
