"""Flavors, networks and the storage over HTTP: what VMs are made from."""

from __future__ import annotations

from typing import cast

from service.api.models.catalogue import CreateFlavor, CreateNetwork
from service.db import queries
from service.db.tables import Flavor, Network
from service.edge import paging
from service.edge.call import Call, Reply
from service.edge.models import GIB
from service.operations.catalogue import flavors, networks
from service.views.catalogue import show_flavor, show_network
from service.views.pools import show_storage


def list_flavors(call: Call) -> Reply:
    """All flavors."""
    found = paging.equal(call, queries.readable(Flavor, call.actor.scope), name=Flavor.name)
    return paging.named(call, found, Flavor, paging.each(show_flavor))


def one_flavor(call: Call) -> Reply:
    """One flavor."""
    return Reply(show_flavor(queries.get(Flavor, call.ref, call.actor.scope)))


def create_flavor(call: Call) -> Reply:
    """Make a flavor."""
    body = cast(CreateFlavor, call.body)
    new = flavors.NewFlavor(
        name=body.name,
        vcpus=body.vcpus,
        max_vcpus=body.max_vcpus or body.vcpus,
        memory_mib=body.memory_mib,
        max_memory_mib=body.max_memory_mib or body.memory_mib,
        disk_bytes=body.disk_gib * GIB,
    )
    return Reply(show_flavor(flavors.create(call.ctx, call.actor, new)), status=201)


def delete_flavor(call: Call) -> Reply:
    """Remove a flavor that no VM has."""
    flavors.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def list_networks(call: Call) -> Reply:
    """All guest networks."""
    found = paging.equal(call, queries.readable(Network, call.actor.scope), name=Network.name)
    return paging.named(call, found, Network, paging.each(show_network))


def one_network(call: Call) -> Reply:
    """One guest network."""
    return Reply(show_network(queries.get(Network, call.ref, call.actor.scope)))


def create_network(call: Call) -> Reply:
    """Make a guest network."""
    body = cast(CreateNetwork, call.body)
    new = networks.NewNetwork(
        name=body.name,
        bridge=body.bridge,
        cidr=str(body.cidr),
        gateway=str(body.gateway) if body.gateway else None,
        first_address=str(body.first_address),
        last_address=str(body.last_address),
        dns=tuple(str(address) for address in body.dns),
    )
    return Reply(show_network(networks.create(call.ctx, call.actor, new)), status=201)


def delete_network(call: Call) -> Reply:
    """Remove a network that no VM is on."""
    networks.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def storage(_call: Call) -> Reply:
    """The storage cluster, as last observed."""
    seen = queries.storage()
    return Reply(show_storage(seen) if seen else {"status": None, "osds": [], "observed_at": None})
