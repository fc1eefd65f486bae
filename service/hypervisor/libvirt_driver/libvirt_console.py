"""A domain's serial console as a libvirt stream, read by the event loop."""

from __future__ import annotations

import threading
from contextlib import suppress

import libvirt

from service.hypervisor.errors import ConsoleClosedError, DomainNotFoundError, HostUnreachableError
from service.hypervisor.libvirt_link import domain_state
from service.hypervisor.libvirt_link.connection import HostConnection

MOST_WAITING_BYTES = 1024 * 1024  # of unread output; older bytes are dropped
SEND_S = 30.0
CLOSE_S = 5.0
_READ = libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
_NOT_NOW = -2


class LibvirtConsole:
    """Open serial console, with a connection of its own that is closed with it."""

    def __init__(self, host: HostConnection, vm_id: str) -> None:
        self._host = host
        self._changed = threading.Condition()
        self._output = bytearray()
        self._ended: str | None = None
        self._writable = False
        self._closed = False
        self._connection, self._stream = host.dedicated(lambda connection: self._open(connection, vm_id))

    def read(self, timeout_s: float) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._output or self._ended, timeout_s)
            if not self._output and self._ended:
                raise ConsoleClosedError(self._ended)
            output, self._output = bytes(self._output), bytearray()
            return output

    def write(self, data: bytes) -> None:
        while data:
            if self._ended:
                raise ConsoleClosedError(self._ended)
            try:
                sent = self._stream.send(data)
            except libvirt.libvirtError as error:
                raise ConsoleClosedError(f"the serial console broke: {error}") from error
            if sent == _NOT_NOW:
                self._wait_writable()
            else:
                data = data[sent:]

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._end("the serial console was closed")
            with suppress(HostUnreachableError):  # also if the host is unreachable now
                self._host.bounded(self._abort, timeout_s=CLOSE_S)

    def _open(self, connection: libvirt.virConnect, vm_id: str) -> tuple[libvirt.virConnect, libvirt.virStream]:
        domain = domain_state.find(connection, vm_id)
        if domain is None:
            raise DomainNotFoundError(f"there is no domain {vm_id} to open a console of")
        stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        stream.eventAddCallback(_READ, self._on_event, None)
        return connection, stream

    def _on_event(self, stream: libvirt.virStream, events: int, _opaque: object) -> None:
        """Handle a stream event, in the event loop: it would swallow an exception."""
        if events & libvirt.VIR_STREAM_EVENT_WRITABLE:
            stream.eventUpdateCallback(_READ)
            with self._changed:
                self._writable = True
                self._changed.notify_all()
        if events & libvirt.VIR_STREAM_EVENT_READABLE:
            self._gather(stream)
        elif events & ~libvirt.VIR_STREAM_EVENT_WRITABLE:
            self._end("the serial console has ended")
            stream.eventRemoveCallback()

    def _gather(self, stream: libvirt.virStream) -> None:
        try:
            piece = stream.recv(64 * 1024)
        except libvirt.libvirtError as error:
            piece = b""
            self._end(f"the serial console has ended: {error}")
        if piece == _NOT_NOW:
            return
        if not piece:
            self._end("the serial console has ended")
            stream.eventRemoveCallback()
            return
        with self._changed:
            self._output += piece
            del self._output[:-MOST_WAITING_BYTES]
            self._changed.notify_all()

    def _wait_writable(self) -> None:
        with self._changed:
            self._writable = False
        self._stream.eventUpdateCallback(_READ | libvirt.VIR_STREAM_EVENT_WRITABLE)
        with self._changed:
            if not self._changed.wait_for(lambda: self._writable or self._ended, SEND_S):
                raise ConsoleClosedError(f"the serial console accepted no input for {SEND_S:g} s")

    def _end(self, reason: str) -> None:
        with self._changed:
            self._ended = self._ended or reason
            self._changed.notify_all()

    def _abort(self) -> None:
        with suppress(libvirt.libvirtError):  # it may have ended by itself
            self._stream.eventRemoveCallback()
        with suppress(libvirt.libvirtError):
            self._stream.abort()
        self._connection.close()
