"""The certificates that libvirt's TLS is spoken with, and the port it is spoken at. Imports nothing of this project:
the prober's process stays small."""

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
    """Folder with cacert.pem, clientcert.pem and clientkey.pem, as libvirt's `pkipath` wants it."""

    folder: Path

    def context(self) -> ssl.SSLContext:
        """A TLS client that trusts only this CA. The daemon's name is checked by address, as libvirt does."""
        context = ssl.create_default_context(cafile=self.folder / "cacert.pem")
        context.load_cert_chain(self.folder / "clientcert.pem", self.folder / "clientkey.pem")
        return context

    def url(self, address: str, port: int = TLS_PORT) -> str:
        """Where libvirt on that host is opened."""
        at = address if port == TLS_PORT else f"{address}:{port}"
        return f"qemu+tls://{at}/system?pkipath={quote(str(self.folder))}&no_tty=1"


def trouble(error: OSError) -> str:
    """Why a greeting failed, in the kernel's words or OpenSSL's."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    plain = error.errno is not None and not isinstance(error, ssl.SSLError)
    return os.strerror(error.errno) if plain else str(error)  # type: ignore[arg-type]  # a plain one has a number
