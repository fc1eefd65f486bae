"""The console process: websockets to VMs' VNC and serial consoles, by ticket."""

from __future__ import annotations

import functools
import logging
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import structlog
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from service.console.handshake import Refusal, ticket_of
from service.console.session import Session, shortened
from service.console.vnc import VncStream
from service.context import Context
from service.db.engine.database import unit_of_work
from service.errors import ConflictError, NacreError, UnauthenticatedError
from service.hypervisor.contract import Console
from service.operations.consoles.console_tickets import PROTOCOL, Admission, redeem

log = structlog.get_logger(__name__)
HANDSHAKE_S = 5.0
PAUSE_S = 0.2
PING_S = 20.0
LONGEST_MESSAGE = 1 << 20
BACKLOG = 128
_STATUS = {UnauthenticatedError: HTTPStatus.UNAUTHORIZED, ConflictError: HTTPStatus.CONFLICT}


class ConsoleServer:
    """Server of console websockets. Each open console holds a slot.

    Connections that have not presented a ticket yet are limited, too.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        slots = ctx.settings.console_slots
        self._connections = threading.BoundedSemaphore(slots * 2)
        self._slots = threading.BoundedSemaphore(slots)
        self._local = threading.local()  # .admission: of this connection's thread, which holds a slot
        self._closed = threading.Event()
        address = ctx.settings.console_listen_address or ctx.settings.listen_address
        self._listening = socket.create_server((address, ctx.settings.console_port), backlog=BACKLOG)
        quiet = logging.getLogger(__name__)
        quiet.setLevel(logging.CRITICAL)  # a broken handshake is the client's fault
        self._serve = serve(
            self._handle,
            sock=self._listening,
            subprotocols=[Subprotocol(PROTOCOL)],
            process_request=self._judge,
            compression=None,
            logger=quiet,
            server_header=None,
            open_timeout=HANDSHAKE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            max_size=LONGEST_MESSAGE,
        ).handler

    @property
    def port(self) -> int:
        """TCP port it listens on."""
        return int(self._listening.getsockname()[1])

    def run(self) -> None:
        """Accept connections until close()."""
        while not self._closed.is_set():
            try:
                connection, source = self._listening.accept()
            except OSError:  # closed, or out of file descriptors for a moment
                self._ctx.clock.wait(self._closed, PAUSE_S)
                continue
            if self._connections.acquire(blocking=False):
                self._ctx.threads.start("console", functools.partial(self._serve_connection, connection, source))
            else:
                connection.close()

    def close(self) -> None:
        """Stop accepting. Open consoles end with the process."""
        self._closed.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listening.close()

    def _serve_connection(self, connection: socket.socket, source: Any) -> None:
        self._local.admission = None
        try:
            self._serve(connection, source)
        finally:
            if self._local.admission is not None:
                self._slots.release()
            self._connections.release()

    def _judge(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Check the request; return None to open the websocket."""
        ticket = ticket_of(request.path, request.headers, self._ctx.settings.console_origins)
        refusal = self._admit(ticket) if isinstance(ticket, str) else ticket
        return None if refusal is None else websocket.respond(refusal.status, refusal.text)

    def _admit(self, ticket: str) -> Refusal | None:
        """Use the ticket and take a slot, which _serve_connection() releases."""
        if not self._slots.acquire(blocking=False):
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "All console slots are in use: retry later.")
        try:
            with unit_of_work(self._ctx.db):
                self._local.admission = redeem(self._ctx, ticket)
        except NacreError as error:
            status = next((_STATUS[kind] for kind in _STATUS if isinstance(error, kind)), HTTPStatus.BAD_GATEWAY)
            return Refusal(status, f"{error.detail} [{error.code}]")
        except Exception:  # the edge: details go to the log only
            log.exception("console.handshake_failed")
            return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error: see the log of the console process.")
        finally:
            if self._local.admission is None:
                self._slots.release()
        return None

    def _handle(self, websocket: ServerConnection) -> None:
        admission: Admission = self._local.admission
        fields = {"vm": admission.vm_name, "console": admission.kind, "actor": admission.actor}
        try:
            console = self._open(admission)
            log.info("console.opened", **fields)
            Session(websocket, console, self._ctx.clock).run(self._ctx.threads)
            log.info("console.ended", **fields)
        except NacreError as error:
            log.info("console.refused", **fields, reason=error.detail)
            websocket.close(CloseCode.INTERNAL_ERROR, shortened(error.detail))
        except Exception:  # the edge
            log.exception("console.failed", **fields)
            websocket.close(CloseCode.INTERNAL_ERROR, "internal error: see the log of the console process")

    def _open(self, admission: Admission) -> Console:
        on = self._ctx.hypervisors.on(admission.host)
        if admission.kind == "serial":
            return on.open_console(admission.vm_id)
        display = on.display(admission.vm_id)
        if display is None:
            raise ConflictError(f"VM {admission.vm_name} has no screen.", code="console.no_screen")
        return VncStream(display)
