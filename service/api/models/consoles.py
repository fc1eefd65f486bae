"""Models of console tickets."""

from __future__ import annotations

from typing import Literal

from service.edge.models import Body, Instant, Shown


class OpenConsole(Body):
    """Kind of console to open: screen or serial console."""

    kind: Literal["vnc", "serial"]


class ShownConsole(Shown):
    """Websocket that opens once, until `expires_at`.

    The client offers the subprotocols `protocol` and `ticket`. Its binary messages are the
    bytes of VNC's protocol (RFB), or of the serial console.
    """

    kind: str
    url: str
    protocol: str
    ticket: str
    expires_at: Instant
