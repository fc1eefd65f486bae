"""Websocket to a VM's console, opened with a single-use ticket."""

from __future__ import annotations

from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from service.cli.client import at
from service.cli.errors import CliError
from service.cli.session import client

OPEN_S = 15.0


def open_websocket(name: str, kind: str) -> ClientConnection:
    """Open the VM's console of a kind: "vnc" or "serial". Raises CliError, ApiError."""
    ticket = client().post(at("vms", name, "consoles"), {"kind": kind})
    protocols = [Subprotocol(ticket["protocol"]), Subprotocol(ticket["ticket"])]
    try:
        return connect(ticket["url"], subprotocols=protocols, compression=None, proxy=None, open_timeout=OPEN_S)
    except InvalidStatus as error:
        body = (error.response.body or b"").decode(errors="replace").strip()
        raise CliError(f"{ticket['url']} refused the connection: {body or error}") from error
    except (InvalidHandshake, OSError) as error:
        raise CliError(f"{ticket['url']} does not respond ({error}): is the console process running?") from error
