"""Handlers for console tickets: each opens one websocket of the console process."""

from __future__ import annotations

from service.api.models.consoles import OpenConsole
from service.edge.call import Call, Reply
from service.operations.consoles import console_tickets
from service.views.values import show_time


def create(call: Call[OpenConsole]) -> Reply:
    """Open a console of a running VM: create a single-use ticket for its websocket.

    The ticket is shown only in this response.
    """
    kind = call.body.kind
    ticket = console_tickets.request(call.ctx, call.actor, call.ref, kind)
    shown = {
        "kind": ticket.kind,
        "url": call.ctx.settings.console_base + console_tickets.PATH,
        "protocol": console_tickets.PROTOCOL,
        "ticket": ticket.secret,
        "expires_at": show_time(ticket.expires_at),
    }
    return Reply(shown, status=201)
