"""Admission to a console's websocket, decided and answered in HTTP.

The ticket comes as a subprotocol, the one header that a browser lets its page choose. It is not in the URL because
proxies and browsers log URLs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.datastructures import Headers, MultipleValuesError

from service.operations.consoles.console_tickets import PATH, PROTOCOL

LONGEST_TICKET = 128


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer instead of a websocket."""

    status: HTTPStatus
    text: str


def ticket_of(path: str, headers: Headers, origins: Sequence[str]) -> str | Refusal:
    """Return the ticket of a request for a websocket, not yet validated, or a refusal."""
    if urlsplit(path).path != PATH:
        return Refusal(HTTPStatus.NOT_FOUND, f"Consoles are at {PATH}.")
    try:
        origin, host = headers.get("Origin"), headers.get("Host", "")
    except MultipleValuesError:
        return Refusal(HTTPStatus.BAD_REQUEST, "Origin or Host is given twice.")
    if origin is not None and origin not in origins and urlsplit(origin).netloc != host:
        return Refusal(HTTPStatus.FORBIDDEN, "Pages of this origin may not open consoles: set console_origins.")
    offered = [word.strip() for value in headers.get_all("Sec-WebSocket-Protocol") for word in value.split(",")]
    tickets = [word for word in offered if word != PROTOCOL]
    if PROTOCOL not in offered or len(tickets) != 1 or len(tickets[0]) > LONGEST_TICKET:
        return Refusal(HTTPStatus.BAD_REQUEST, f"Offer the subprotocols {PROTOCOL} and a ticket.")
    return tickets[0]
