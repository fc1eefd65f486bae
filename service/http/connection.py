"""A client's connection: data of its next request, and unsent data of an answer."""

from __future__ import annotations

import re
import socket
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn

from service.settings import READ_AHEAD_BYTES
from service.world import SystemClock

clock = SystemClock()

HEAD_BYTES = 64 << 10
UNSENT_BYTES = 1 << 20  # beyond that a thread waits for its client
PIECE_BYTES = 64 << 10
# Least speed of a body that a thread reads: no client may hold one of the few slots by sending a byte now and then.
SLOW_S, LEAST_BYTES_PER_S = 20.0, 4096
STUCK_S = 30.0  # a stream ends when its client reads nothing for so long

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
READ_BY_THREAD = re.compile(rb"\r\n(transfer-encoding|expect):", re.IGNORECASE)


class Outbox(socket.socket):
    """A client's socket with a send buffer: flush() sends what sendall() could not.

    After expect_body() recv() requires a least speed.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.unsent = bytearray()
        self._stuck_since: float | None = None
        self._body_since: float | None = None
        self._body_bytes = 0

    def expect_body(self) -> None:
        """Start measuring the speed of a body that a thread reads."""
        self._body_since = clock.monotonic()

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Receive. Raises OSError also when a body has been too slow for over SLOW_S."""
        data = super().recv(size, flags)
        if self._body_since is not None:
            self._body_bytes += len(data)
            took_s = clock.monotonic() - self._body_since
            if took_s > SLOW_S and self._body_bytes < took_s * LEAST_BYTES_PER_S:
                raise TimeoutError("the body comes too slowly")
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send or buffer. Waits only while more than UNSENT_BYTES are buffered.

        Raises OSError when the client has disconnected.
        """
        sent = 0 if self.unsent else self._send_now(data)
        if sent == len(data):
            return
        self.unsent += memoryview(data)[sent:]
        self.flush()
        while len(self.unsent) > UNSENT_BYTES:
            try:
                sent = self.send(bytes(self.unsent[:PIECE_BYTES]), flags)
            except BlockingIOError as silence:
                raise BrokenPipeError("the client reads nothing") from silence
            del self.unsent[:sent]
        self._check_stuck()

    def flush(self) -> None:
        """Send what the kernel accepts now. Raises OSError after a disconnect."""
        while self.unsent:
            with memoryview(self.unsent) as unsent:
                sent = self._send_now(unsent)
            if not sent:
                return
            del self.unsent[:sent]
            self._stuck_since = None

    def _send_now(self, data: Any) -> int:
        try:
            return self.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _check_stuck(self) -> None:
        if not self.unsent:
            return
        now = clock.monotonic()
        self._stuck_since = self._stuck_since or now
        if now - self._stuck_since > STUCK_S:
            raise BrokenPipeError("the client reads nothing")


class BodyByThread:
    """Body of a request, read by a thread. Bad chunks or a stalled client: OSError."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; fewer at the end. Raises OSError."""
        try:
            return bytes(self._reader.read(size))
        except ParseException as failure:
            raise ConnectionError(f"the body cannot be read: {failure}") from failure


class Connection(TConn):  # type: ignore[misc]
    """gunicorn's connection, with a buffer of the next request."""

    def __init__(self, cfg: Any, accepted: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, Outbox(accepted), client, server)
        self.gathered = bytearray()
        self.is_whole = False  # the whole request is buffered: a thread need not wait for the client
        self.is_kept = False  # keep-alive: the client may send another request
        self._needed: int | None = None  # bytes to gather; None until the head is complete

    @property
    def has_head(self) -> bool:
        """True if the head is complete."""
        return self._needed is not None

    def gather(self) -> bool:
        """Read available data; return True if a thread may have the request now.

        Raises OSError, EOFError.
        """
        try:
            data = self.sock.recv(PIECE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if not data:
            raise EOFError
        self.gathered += data
        return self.is_ready()

    def is_ready(self) -> bool:
        """True if the head and an ordinary body are complete, or the head is too long."""
        if self._needed is None:
            end = self.gathered.find(b"\r\n\r\n")
            if end < 0:
                return len(self.gathered) > HEAD_BYTES
            body_bytes, self.is_whole = _ordinary_body(bytes(self.gathered[: end + 2]))
            self._needed = end + 4 + body_bytes
        return len(self.gathered) >= self._needed

    def hand_over(self) -> None:
        """Give the buffered data to gunicorn's parser."""
        self.sock.setblocking(True)
        if not self.is_whole:
            self.sock.expect_body()
        self.init()
        self.parser.unreader.unread(bytes(self.gathered))
        self.gathered.clear()
        self._needed = None

    def end(self) -> None:
        """Shut down sending. Raises OSError when the client has disconnected."""
        self.sock.setblocking(False)
        self.sock.shutdown(socket.SHUT_WR)

    def drain(self) -> None:
        """Discard received data.

        Raises EOFError when the client has closed, OSError when it has disconnected.
        """
        try:
            if not self.sock.recv(PIECE_BYTES, socket.MSG_DONTWAIT):
                raise EOFError
        except BlockingIOError:
            return


def _ordinary_body(head: bytes) -> tuple[int, bool]:
    """Return the bytes of body to gather, and True if that is the whole body."""
    found = CONTENT_LENGTH.search(head)
    length = int(found[1]) if found else 0
    if length > READ_AHEAD_BYTES or READ_BY_THREAD.search(head):
        return 0, False
    return length, True
