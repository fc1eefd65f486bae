"""Consoles of VMs."""

from __future__ import annotations

from typing import Literal

from service.edge.models import Body, Instant, Shown


class OpenConsole(Body):
    """Which of a VM's consoles: its screen, or its serial line."""

    kind: Literal["vnc", "serial"]


class ShownConsole(Shown):
    """A websocket that opens once, until `expires_at`, to who offers the subprotocols `protocol` and `ticket`.

    Its binary messages are the bytes of VNC's protocol (RFB), or of the serial line.
    """

    kind: str
    url: str
    protocol: str
    ticket: str
    expires_at: Instant
