"""Notifications to the service manager (sd_notify(3)): one datagram, no answer."""

from __future__ import annotations

import os
import socket

READY = "READY=1"
ALIVE = "WATCHDOG=1"


def notify(state: str) -> None:
    """Send READY or ALIVE if the manager has requested it.

    Raises OSError when its socket is not open.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        # A leading @ means the abstract namespace (unix(7)).
        sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
