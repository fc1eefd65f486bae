"""One client's connection: what was gathered of its next request, and what it has not yet taken of an answer."""

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
# What a thread reads must come: nobody keeps one of the few slots for such bodies by sending now and then a byte.
SLOW_S, LEAST_BYTES_PER_S = 20.0, 4096
STUCK_S = 30.0  # a stream ends when its client takes nothing for so long

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
READ_BY_THREAD = re.compile(rb"\r\n(transfer-encoding|expect):", re.IGNORECASE)


class Outbox(socket.socket):
    """A client's socket. sendall() keeps what the client does not take at once: flush() sends it later.

    From expect_body() on recv() wants some speed.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.unsent = bytearray()
        self._stuck_since: float | None = None
        self._body_since: float | None = None
        self._body_bytes = 0

    def expect_body(self) -> None:
        """A thread is going to read a body that may come slowly."""
        self._body_since = clock.monotonic()

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As every socket's. Raises OSError when a body drips for over SLOW_S, too."""
        data = super().recv(size, flags)
        if self._body_since is not None:
            self._body_bytes += len(data)
            took_s = clock.monotonic() - self._body_since
            if took_s > SLOW_S and self._body_bytes < took_s * LEAST_BYTES_PER_S:
                raise TimeoutError("the body comes too slowly")
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send, or keep. Waits only while more than UNSENT_BYTES are kept. Raises OSError when the client has gone."""
        sent = 0 if self.unsent else self._send_now(data)
        if sent == len(data):
            return
        self.unsent += memoryview(data)[sent:]
        self.flush()
        while len(self.unsent) > UNSENT_BYTES:
            try:
                sent = self.send(bytes(self.unsent[:PIECE_BYTES]), flags)
            except BlockingIOError as silence:
                raise BrokenPipeError("the client takes nothing") from silence
            del self.unsent[:sent]
        self._check_stuck()

    def flush(self) -> None:
        """Send what the kernel takes now. Raises OSError when the client has gone."""
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
            raise BrokenPipeError("the client takes nothing")


class BodyByThread:
    """The body of a request that a thread reads: no proper chunks are an OSError, as a silent client is."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end. Raises OSError."""
        try:
            return bytes(self._reader.read(size))
        except ParseException as failure:
            raise ConnectionError(f"the body cannot be read: {failure}") from failure


class Connection(TConn):  # type: ignore[misc]
    """gunicorn's connection, with what was gathered of the next request."""

    def __init__(self, cfg: Any, accepted: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, Outbox(accepted), client, server)
        self.gathered = bytearray()
        self.is_whole = False  # whether a thread can read all of the request without waiting for the client
        self.is_kept = False  # whether the client may send another request
        self._needed: int | None = None  # bytes to gather; None until the head is there

    @property
    def has_head(self) -> bool:
        """Whether the end of the head was seen."""
        return self._needed is not None

    def gather(self) -> bool:
        """Read what is there. Whether a thread may have the request now. Raises OSError, EOFError."""
        try:
            data = self.sock.recv(PIECE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if not data:
            raise EOFError
        self.gathered += data
        return self.is_ready()

    def is_ready(self) -> bool:
        """Whether enough is gathered: the head, and the body where it is an ordinary one; or a head without end."""
        if self._needed is None:
            end = self.gathered.find(b"\r\n\r\n")
            if end < 0:
                return len(self.gathered) > HEAD_BYTES
            body_bytes, self.is_whole = _ordinary_body(bytes(self.gathered[: end + 2]))
            self._needed = end + 4 + body_bytes
        return len(self.gathered) >= self._needed

    def hand_over(self) -> None:
        """Give gunicorn's parser what was gathered."""
        self.sock.setblocking(True)
        if not self.is_whole:
            self.sock.expect_body()
        self.init()
        self.parser.unreader.unread(bytes(self.gathered))
        self.gathered.clear()
        self._needed = None

    def end(self) -> None:
        """Say that nothing more will be sent. Raises OSError when the client has gone."""
        self.sock.setblocking(False)
        self.sock.shutdown(socket.SHUT_WR)

    def drain(self) -> None:
        """Throw away what still comes. Raises EOFError when the client has ended, OSError when it has gone."""
        try:
            if not self.sock.recv(PIECE_BYTES, socket.MSG_DONTWAIT):
                raise EOFError
        except BlockingIOError:
            return


def _ordinary_body(head: bytes) -> tuple[int, bool]:
    """How many bytes of body to gather, and whether that is all of it."""
    found = CONTENT_LENGTH.search(head)
    length = int(found[1]) if found else 0
    if length > READ_AHEAD_BYTES or READ_BY_THREAD.search(head):
        return 0, False
    return length, True
