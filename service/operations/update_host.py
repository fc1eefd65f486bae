"""Change what is granted of a host, and whether new VMs may come to it. What runs there goes on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Host
from service.errors import ConflictError, InvalidError
from service.operations import audit
from service.operations.actor import Actor


@dataclass(frozen=True, slots=True)
class HostChange:
    """What shall be different; None stays as it is. `state` is active or cordoned (no new VMs)."""

    state: str | None = None
    vcpus: int | None = None
    memory_mib: int | None = None
    reserved_vcpus: int | None = None
    reserved_memory_mib: int | None = None


def update(ctx: Context, actor: Actor, ref: str, change: HostChange) -> Host:
    """The host as it is now. Raises NotFoundError, InvalidError, ConflictError (`host.over_committed`)."""
    wanted = {name: value for name, value in asdict(change).items() if value is not None}
    with transaction(ctx.db):
        host = queries.get(Host, ref, actor.scope)
        before = {name: getattr(host, name) for name in wanted}
        for name, value in wanted.items():
            setattr(host, name, value)
        _check(host)
        host.generation += 1  # a decision that was made from the old numbers shall not count
        host.save()
        audit.record(ctx, actor, "update_host", "host", host, before=before, after=wanted)
        return host


def _check(host: Host) -> None:
    if host.reserved_vcpus >= host.vcpus or host.reserved_memory_mib >= host.memory_mib:
        raise InvalidError(f"The reservation would take all of host '{host.name}'.", code="host.reservation")
    vcpus, memory_mib, _ = queries.allocated([host.id]).get(host.id, (0, 0, 0))
    promised: list[tuple[str, int, Any]] = [
        ("vCPUs", vcpus, host.vcpus - host.reserved_vcpus),
        ("MiB of memory", memory_mib, host.memory_mib - host.reserved_memory_mib),
    ]
    for what, used, usable in promised:
        if used > usable:
            told = f"{used} {what} are promised on host '{host.name}', {usable} would be left: move VMs away first."
            raise ConflictError(told, code="host.over_committed")
