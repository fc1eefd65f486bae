"""Handlers for flavors, networks and the storage cluster."""

from __future__ import annotations

from service.api.models.catalogue import CreateFlavor, CreateNetwork
from service.db import queries
from service.db.tables import Flavor, Network
from service.edge import paging
from service.edge.call import Call, Reply
from service.edge.models import GIB, ListNamed
from service.operations.catalogue import flavors, networks
from service.views import catalogue as views
from service.views.pools import show_storage


def list_flavors(call: Call[None, ListNamed]) -> Reply:
    """List flavors."""
    found = paging.equal(call, queries.readable(Flavor, call.actor.scope), name=Flavor.name)
    return paging.named(call, found, Flavor, paging.each(views.show_flavor))


def show_flavor(call: Call) -> Reply:
    """Show a flavor."""
    return Reply(views.show_flavor(queries.get(Flavor, call.ref, call.actor.scope)))


def create_flavor(call: Call[CreateFlavor]) -> Reply:
    """Create a flavor."""
    body = call.body
    new = flavors.NewFlavor(
        name=body.name,
        vcpus=body.vcpus,
        max_vcpus=body.max_vcpus or body.vcpus,
        memory_mib=body.memory_mib,
        max_memory_mib=body.max_memory_mib or body.memory_mib,
        disk_bytes=body.disk_gib * GIB,
    )
    return Reply(views.show_flavor(flavors.create(call.ctx, call.actor, new)), status=201)


def delete_flavor(call: Call) -> Reply:
    """Delete a flavor that no VM uses."""
    flavors.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def list_networks(call: Call[None, ListNamed]) -> Reply:
    """List guest networks."""
    found = paging.equal(call, queries.readable(Network, call.actor.scope), name=Network.name)
    return paging.named(call, found, Network, paging.each(views.show_network))


def show_network(call: Call) -> Reply:
    """Show a guest network."""
    return Reply(views.show_network(queries.get(Network, call.ref, call.actor.scope)))


def create_network(call: Call[CreateNetwork]) -> Reply:
    """Create a guest network."""
    body = call.body
    new = networks.NewNetwork(
        name=body.name,
        bridge=body.bridge,
        cidr=str(body.cidr),
        gateway=str(body.gateway) if body.gateway else None,
        first_address=str(body.first_address),
        last_address=str(body.last_address),
        dns=tuple(str(address) for address in body.dns),
    )
    return Reply(views.show_network(networks.create(call.ctx, call.actor, new)), status=201)


def delete_network(call: Call) -> Reply:
    """Delete a guest network that no VM uses."""
    networks.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def storage(call: Call) -> Reply:
    """Show the storage cluster's last observed health and OSDs."""
    seen = queries.storage()
    return Reply(show_storage(seen) if seen else {"status": None, "osds": [], "observed_at": None})
