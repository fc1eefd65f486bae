"""Certificates and port of libvirt's TLS.

Imports nothing of this project, to keep the prober's process small.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

TLS_PORT = 16514
WELCOME = b"\x01"  # what the daemon sends once it has accepted the client's certificate


@dataclass(frozen=True, slots=True)
class Pki:
    """Folder of cacert.pem, clientcert.pem, clientkey.pem, for libvirt's `pkipath`."""

    folder: Path

    def context(self) -> ssl.SSLContext:
        """Return a TLS client context that trusts only this CA.

        The daemon's certificate is checked by address, as in libvirt.
        """
        context = ssl.create_default_context(cafile=self.folder / "cacert.pem")
        context.load_cert_chain(self.folder / "clientcert.pem", self.folder / "clientkey.pem")
        return context

    def url(self, address: str, port: int = TLS_PORT) -> str:
        """Return the URL of libvirt on that host."""
        at = address if port == TLS_PORT else f"{address}:{port}"
        return f"qemu+tls://{at}/system?pkipath={quote(str(self.folder))}&no_tty=1"


def trouble(error: OSError) -> str:
    """Return the reason of a failed handshake, as the kernel's or OpenSSL's text."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    plain = error.errno is not None and not isinstance(error, ssl.SSLError)
    return os.strerror(error.errno) if plain else str(error)  # type: ignore[arg-type]  # a plain one has a number
