"""Telling the service manager how the process is, by its own protocol (sd_notify(3)): one datagram, no answer."""

from __future__ import annotations

import os
import socket

READY = "READY=1"
ALIVE = "WATCHDOG=1"


def notify(state: str) -> None:
    """Send READY or ALIVE where the manager has asked for it; silent elsewhere. Raises OSError when nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        # A leading @ stands for the abstract namespace (unix(7)).
        sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
