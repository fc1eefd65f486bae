"""Check of a libvirt daemon by a TLS handshake with a deadline.

libvirt.open() has no deadline.
"""

from __future__ import annotations

import socket

from service.hypervisor.contract import HostEndpoint
from service.hypervisor.errors import HostUnreachableError
from service.hypervisor.libvirt_link.pki import TLS_PORT, WELCOME, Pki, trouble


def check_tls(endpoint: HostEndpoint, pki: Pki, *, timeout_s: float) -> None:
    """Check that the daemon answers and accepts the certificate.

    Raises HostUnreachableError with the reason.
    """
    try:
        with (
            socket.create_connection((endpoint.address, TLS_PORT), timeout=timeout_s) as plain,
            pki.context().wrap_socket(plain, server_hostname=endpoint.address) as secure,
        ):
            welcome = secure.recv(1)
    except OSError as error:
        raise HostUnreachableError(unreachable(endpoint, trouble(error))) from error
    if welcome != WELCOME:
        raise HostUnreachableError(f"libvirt on host {endpoint.name} does not accept this client's certificate")


def unreachable(endpoint: HostEndpoint, trouble: str) -> str:
    """Return the error text for an unreachable host."""
    return f"libvirt on host {endpoint.name} ({endpoint.address}:{TLS_PORT}) cannot be reached: {trouble}"
