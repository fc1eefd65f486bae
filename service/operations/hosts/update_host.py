"""Change a host's usable capacity, and whether it gets new VMs. Running VMs stay."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from service.context import Context
from service.db import change_counter, queries
from service.db.engine.database import transaction
from service.db.tables import Host
from service.errors import InvalidError
from service.operations import audit
from service.operations.actor import Actor


@dataclass(frozen=True, slots=True)
class HostChange:
    """Changes of a host; None keeps a value.

    `state` is active or cordoned (no new VMs).
    """

    state: str | None = None
    vcpus: int | None = None
    memory_mib: int | None = None
    reserved_vcpus: int | None = None
    reserved_memory_mib: int | None = None


def update(ctx: Context, actor: Actor, ref: str, change: HostChange) -> Host:
    """Change the host and return it.

    Raises NotFoundError, InvalidError (`host.reservation`). A capacity below what is allocated is allowed: the host
    gets no new VM until it fits again.
    """
    wanted = {name: value for name, value in asdict(change).items() if value is not None}
    with transaction(ctx.db):
        host = queries.get(Host, ref, actor.scope)
        before = {name: getattr(host, name) for name in wanted}
        # Increment the generation, so that a decision made from the old numbers is refused.
        Host.update(**wanted, generation=Host.generation + 1).where(Host.id == host.id).execute()
        change_counter.touch([host.id])
        host = queries.by_id(Host, host.id)
        if host.reserved_vcpus >= host.vcpus or host.reserved_memory_mib >= host.memory_mib:
            raise InvalidError(
                f"The reservation leaves nothing of host '{host.name}': reduce it.", code="host.reservation"
            )
        audit.record(ctx, actor, "update_host", "host", host, before=before, after=wanted)
        return host
