"""Remove a host that runs no VM from Nacre. Nothing is changed on the host itself."""

from __future__ import annotations

from service.context import Context
from service.db import change_counter, queries
from service.db.engine.database import transaction
from service.db.tables import Allocation, Host
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor
from service.operations.busy import check_idle


def remove(ctx: Context, actor: Actor, ref: str) -> None:
    """Remove the host.

    Raises ConflictError: `host.in_use` while VMs have capacity allocated on it, `host.busy`.
    """
    with transaction(ctx.db):
        host = queries.get(Host, ref, actor.scope)
        check_idle("host", host.id, host.name)
        vms = Allocation.select().where(Allocation.host == host).count()
        if vms:
            raise ConflictError(f"{vms} VMs are on host '{host.name}': move them first.", code="host.in_use")
        audit.record(ctx, actor, "remove_host", "host", host, before=audit.definition(host))
        host.delete_instance()
        change_counter.note_removed()
