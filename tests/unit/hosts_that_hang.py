"""Listeners that do what broken libvirt daemons do."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from bench.silent_hosts import address, network_of

ADDRESSES = [address(network_of(os.getpid()), number) for number in range(30)]
NOBODY = "127.1.2.3"  # nothing listens there


class Listener:
    """Accepts at one address and says nothing more than `greets` lets it: with it the TLS greeting and the welcome."""

    def __init__(self, address: str, port: int = 0, *, pki: Path | None = None) -> None:
        self._pki = pki
        self._server = socket.create_server((address, port), backlog=256)
        self.port = self._server.getsockname()[1]
        self.accepted: list[socket.socket] = []
        threading.Thread(target=self._run, name="listener", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._server.close()
        for one in self.accepted:
            one.close()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._server.accept()
                self.accepted.append(accepted)
                if self._pki is not None:
                    threading.Thread(target=self._greet, args=(accepted,), daemon=True).start()

    def _greet(self, accepted: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0  # libvirt 9 takes one for a broken welcome
        context.load_cert_chain(self._pki / "clientcert.pem", self._pki / "clientkey.pem")
        with suppress(OSError):
            secure = context.wrap_socket(accepted, server_side=True)
            self.accepted.append(secure)
            secure.sendall(b"\x01")
