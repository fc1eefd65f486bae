"""Create and delete guest networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from ipaddress import IPv4Address

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Network, Nic
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor


@dataclass(frozen=True, slots=True)
class NewNetwork:
    """A network to be created: a bridge of every host, and addresses to assign on it."""

    name: str
    bridge: str
    cidr: str
    gateway: str | None
    first_address: str
    last_address: str
    dns: tuple[str, ...]


def create(ctx: Context, actor: Actor, new: NewNetwork) -> Network:
    """Create the network.

    Raises ConflictError (`network.name_taken`, `network.overlaps`).
    """
    with transaction(ctx.db):
        if queries.find(Network, new.name, actor.scope) is not None:
            raise ConflictError(f"There is a network '{new.name}' already.", code="network.name_taken")
        _check_no_overlap(new)
        network: Network = Network.create(id=ctx.ids.uuid(), created_at=ctx.clock.now(), **asdict(new))
        audit.record(ctx, actor, "create_network", "network", network, after=audit.definition(network))
        return network


def _check_no_overlap(new: NewNetwork) -> None:
    """Check that an address on a bridge belongs to one network only."""
    first, last = IPv4Address(new.first_address), IPv4Address(new.last_address)
    for other in Network.select().where(Network.bridge == new.bridge):
        if first <= IPv4Address(other.last_address) and IPv4Address(other.first_address) <= last:
            raise ConflictError(
                f"Network '{other.name}' assigns addresses of this range on bridge {new.bridge}: choose another range.",
                code="network.overlaps",
            )


def delete(ctx: Context, actor: Actor, ref: str) -> None:
    """Delete the network. Raises ConflictError (`network.in_use`)."""
    with transaction(ctx.db):
        network = queries.get(Network, ref, actor.scope)
        if Nic.select().where(Nic.network == network).exists():
            raise ConflictError(f"VMs are on network '{network.name}': delete them first.", code="network.in_use")
        audit.record(ctx, actor, "delete_network", "network", network, before=audit.definition(network))
        network.delete_instance()
