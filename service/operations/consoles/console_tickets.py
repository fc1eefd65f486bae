"""Tickets for one console of a VM: shown once, valid for seconds, used once.

The API issues one to an actor who may write to the VM; the console process, which has no users or tokens, accepts it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import ConsoleTicket, Vm
from service.errors import ConflictError, UnauthenticatedError
from service.hypervisor.contract import HostEndpoint
from service.operations import audit
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint

Kind = Literal["vnc", "serial"]
LIFE = timedelta(seconds=30)
PATH = "/v1/consoles"  # of the console process
PROTOCOL = "nacre.console"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A new ticket with its secret."""

    kind: Kind
    secret: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Admission:
    """Result of a redeemed ticket: a console of the VM and its current host."""

    vm_id: str
    vm_name: str
    kind: Kind
    actor: str
    host: HostEndpoint


def request(ctx: Context, actor: Actor, ref: str, kind: Kind) -> Ticket:
    """Create a ticket for a running VM.

    Raises NotFoundError, ConflictError (`vm.not_running`, `vm.read_only`).
    """
    with transaction(ctx.db):
        vm, now = queries.get(Vm, ref, actor.scope), ctx.clock.now()
        if not vm.managed:
            raise ConflictError(f"VM '{vm.name}' was adopted and is read-only: confirm it.", code="vm.read_only")
        queries.host_of(vm)
        ConsoleTicket.delete().where(ConsoleTicket.expires_at <= now).execute()
        ticket = Ticket(kind, secrets.token_urlsafe(32), now + LIFE)
        ConsoleTicket.create(
            id=_digest(ticket.secret), expires_at=ticket.expires_at, vm_id=vm.id, kind=kind, actor=actor.name
        )
        audit.record(ctx, actor, "open_console", "vm", vm, console=kind)
        return ticket


def redeem(ctx: Context, secret: str) -> Admission:
    """Use a ticket, which deletes it.

    Raises UnauthenticatedError (`console.bad_ticket`), ConflictError (`vm.not_running`).
    """
    refused = UnauthenticatedError(
        "This ticket is unknown, used or expired: request another.", code="console.bad_ticket"
    )
    with transaction(ctx.db):
        row = ConsoleTicket.get_or_none(ConsoleTicket.id == _digest(secret))
        if row is None or not row.delete_instance() or row.expires_at <= ctx.clock.now():
            raise refused
    vm = queries.find_by_id(Vm, row.vm_id)
    if vm is None:
        raise refused
    return Admission(vm.id, vm.name, cast(Kind, row.kind), row.actor, endpoint(queries.host_of(vm)))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
