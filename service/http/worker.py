"""gunicorn's threaded worker, changed so that a slow client holds no thread.

The main loop gathers a request (its head, and a body of ordinary size) before a thread gets it, sends what a client
did not read at once, and waits for clients to close. gunicorn's own worker reads in its threads and lingers in its
main loop, so a few dozen slow clients block it. Here a thread reads from a client only bodies larger than
READ_AHEAD_BYTES or of unknown length: the API limits such requests by slots (service/edge/slots.py).
"""

from __future__ import annotations

import functools
import math
import selectors
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import structlog
from gunicorn.http.body import Body
from gunicorn.workers.gthread import ThreadWorker

from service.http.connection import BodyByThread, Connection
from service.http.refusals import HEAD_TOO_LONG, refusal
from service.world import SystemClock, SystemIds

log = structlog.get_logger(__name__)
clock, ids = SystemClock(), SystemIds()

NOTIFY_S = 1.0


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Worker in which a connection has one state at a time.

    The states are gathering, in a thread, answering, kept alive and lingering.
    """

    REQUEST_S = 20.0  # from the accept, or from a request's first byte, to its last
    ANSWER_S = 60.0  # for a client to read the rest of an answer once its thread has ended
    LINGER_S = 2.0  # for a client to close after the server has

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # gunicorn's pending_conns and these are each sorted by deadline, because all entries get the same time.
        self.answering: deque[Connection] = deque()
        self.lingering: deque[Connection] = deque()
        self._notified_at = -math.inf

    def notify(self) -> None:
        """Notify the arbiter that the main loop runs, at most once a second.

        It is a write to a file, as expensive as a small query, and gunicorn does it in every iteration, several times
        per request.
        """
        now = clock.monotonic()
        if now - self._notified_at >= NOTIFY_S:
            self._notified_at = now
            super().notify()

    def accept(self, listener: Any) -> None:
        """Accept a connection; if there are too many, close the slowest one."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        self._gather(Connection(self.cfg, client, address, listener.getsockname()))
        if self.nr_conns >= self.worker_connections and self.pending_conns:
            self._hang_up(self.pending_conns[0], self.pending_conns)

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """Handle a kept-alive connection that begins its next request, or ends."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._gather(conn)

    def on_pending_socket_readable(self, conn: Connection, _client: Any) -> None:
        """Read more of a request."""
        try:
            if not conn.gather():
                return
        except (OSError, EOFError):
            self._hang_up(conn, self.pending_conns)
            return
        self._leave(conn, self.pending_conns)
        self._serve(conn)

    def handle(self, conn: Connection) -> Any:
        """Parse the buffered request and answer it, in a thread."""
        conn.hand_over()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Answer, in a thread; close if a large body was not read to its end."""
        if not conn.is_whole:
            req.force_close()
            req.body = Body(BodyByThread(req.body.reader))
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer an invalid request with a problem document, in a thread."""
        request_id = ids.uuid()
        status, answer = refusal(exc, request_id)
        address = addr[0] if addr else ""
        if status < 500:
            log.warning("request.malformed", request_id=request_id, source=address, status=status)
        else:
            log.error("request.failed", request_id=request_id, source=address, exc_info=exc)
        client.sendall(answer)

    def finish_request(self, conn: Connection, fs: Future[Any]) -> None:
        """Continue with a connection after its thread has ended."""
        conn.is_kept = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        if conn.is_kept:
            conn.gathered += conn.parser.unreader.take_buffered()
        self._finish_answer(conn)

    def murder_pending(self) -> None:
        """Close connections past their deadline. Called by gunicorn every second."""
        now = clock.monotonic()
        for queue in (self.pending_conns, self.answering, self.lingering):
            while queue and queue[0].timeout <= now:
                self._hang_up(queue[0], queue)

    def _cap_keepalive(self, deadline: float) -> None:
        """Shorten the deadlines of idle connections, as the service stops."""
        super()._cap_keepalive(deadline)
        while self.pending_conns:
            self._hang_up(self.pending_conns[0], self.pending_conns)

    def _gather(self, conn: Connection) -> None:
        """Read available data of a request; the main loop waits for the rest."""
        try:
            is_ready = conn.is_ready() or conn.gather()
        except (OSError, EOFError):
            self._close(conn)
            return
        if is_ready:
            self._serve(conn)
        else:
            self._enter(conn, self.pending_conns, self.REQUEST_S, selectors.EVENT_READ, self.on_pending_socket_readable)

    def _serve(self, conn: Connection) -> None:
        if conn.has_head:
            self.enqueue_req(conn)
            return
        conn.sock.sendall(refusal(HEAD_TOO_LONG, ids.uuid())[1])
        self._finish_answer(conn)

    def _finish_answer(self, conn: Connection) -> None:
        try:
            conn.sock.flush()
        except OSError:
            self._close(conn)
            return
        if conn.sock.unsent:
            self._enter(conn, self.answering, self.ANSWER_S, selectors.EVENT_WRITE, self._on_writable)
        else:
            self._after_answer(conn)

    def _on_writable(self, conn: Connection, _client: Any) -> None:
        try:
            conn.sock.flush()
        except OSError:
            self._hang_up(conn, self.answering)
            return
        if not conn.sock.unsent:
            self._leave(conn, self.answering)
            self._after_answer(conn)

    def _after_answer(self, conn: Connection) -> None:
        if not conn.is_kept:
            self._linger(conn)
        elif conn.gathered:
            self._gather(conn)
        else:
            conn.sock.setblocking(False)
            keepalive_s = self.cfg.keepalive if self.alive else self.LINGER_S
            self._enter(conn, self.keepalived_conns, keepalive_s, selectors.EVENT_READ, self.on_client_socket_readable)

    def _linger(self, conn: Connection) -> None:
        """Shut down sending, then wait for the client to close.

        Closing at once could destroy the answer on its way.
        """
        try:
            conn.end()
        except OSError:
            self._close(conn)
            return
        self._enter(conn, self.lingering, self.LINGER_S, selectors.EVENT_READ, self._on_lingering)

    def _on_lingering(self, conn: Connection, _client: Any) -> None:
        try:
            conn.drain()
        except (OSError, EOFError):
            self._hang_up(conn, self.lingering)

    def _enter(
        self, conn: Connection, queue: deque[Connection], for_s: float, event: int, then: Callable[..., None]
    ) -> None:
        conn.timeout = clock.monotonic() + for_s
        queue.append(conn)
        self.poller.register(conn.sock, event, functools.partial(then, conn))

    def _leave(self, conn: Connection, queue: deque[Connection]) -> None:
        queue.remove(conn)
        self.poller.unregister(conn.sock)

    def _hang_up(self, conn: Connection, queue: deque[Connection]) -> None:
        self._leave(conn, queue)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()
