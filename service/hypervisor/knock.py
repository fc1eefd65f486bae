"""Is a libvirt daemon really there? A whole TLS greeting under a deadline, because libvirt.open() has none."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from service.hypervisor.contract import HostEndpoint
from service.hypervisor.errors import HostUnreachableError

TLS_PORT = 16514
_WELCOME = b"\x01"  # what the daemon sends once it has accepted the client's certificate


@dataclass(frozen=True, slots=True)
class Pki:
    """Folder with cacert.pem, clientcert.pem and clientkey.pem, as libvirt's `pkipath` wants it."""

    folder: Path

    def context(self) -> ssl.SSLContext:
        """A TLS client that trusts only this CA. The daemon's name is checked by address, as libvirt does."""
        context = ssl.create_default_context(cafile=self.folder / "cacert.pem")
        context.load_cert_chain(self.folder / "clientcert.pem", self.folder / "clientkey.pem")
        return context


def knock(endpoint: HostEndpoint, pki: Pki, *, timeout_s: float) -> None:
    """Return when the daemon answers and accepts the certificate; HostUnreachableError says what happened instead."""
    try:
        with (
            socket.create_connection((endpoint.address, TLS_PORT), timeout=timeout_s) as plain,
            pki.context().wrap_socket(plain, server_hostname=endpoint.address) as secure,
        ):
            welcome = secure.recv(1)
    except OSError as error:  # TimeoutError and ssl.SSLError are OSErrors too
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        raise HostUnreachableError(
            f"libvirt on host {endpoint.name} ({endpoint.address}:{TLS_PORT}) cannot be reached: {reason}"
        ) from error
    if welcome != _WELCOME:
        raise HostUnreachableError(f"libvirt on host {endpoint.name} does not accept this client's certificate")
