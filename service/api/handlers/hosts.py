"""Handlers for hosts."""

from __future__ import annotations

import functools

from service.api.models.hosts import AddHost, CheckHost, ListHosts, UpdateHost
from service.db import queries
from service.db.people import SEES_EVERYTHING
from service.db.tables import Host
from service.edge import paging
from service.edge.call import Accepted, AnyCall, Call, Reply
from service.json_types import JsonObject
from service.operations.hosts import add_host, check_host, remove_host, update_host
from service.operations.placement.choose_host import host_facts
from service.placement.reservations import for_osds
from service.placer.new_placer import reservation_rules
from service.views.hosts import show_host


def list_(call: Call[None, ListHosts]) -> Reply:
    """List hosts with their allocations."""
    found = paging.equal(call, queries.readable(Host, call.actor.scope), name=Host.name, state=Host.state)
    return paging.named(call, found, Host, functools.partial(_shown, call))


def show(call: Call) -> Reply:
    """Show a host."""
    return Reply(_shown(call, [queries.get(Host, call.ref, call.actor.scope)])[0])


def add(call: Call[AddHost]) -> Accepted:
    """Add a host to the cloud."""
    body = call.body
    new = add_host.NewHost(**{**body.model_dump(), "address": str(body.address)})
    return Accepted(add_host.request(call.ctx, call.actor, new))


def update(call: Call[UpdateHost]) -> Reply:
    """Update a host's capacity and reservations, cordon it or activate it.

    Less capacity than is allocated already is allowed: the host then shows `overcommitted_by` and gets no new VMs.
    """
    change = update_host.HostChange(**call.body.model_dump())
    return Reply(_shown(call, [update_host.update(call.ctx, call.actor, call.ref, change)])[0])


def check(call: Call[CheckHost]) -> Accepted:
    """Check a host or a machine and list every problem with its fix."""
    body = call.body
    if body.host is not None:
        return Accepted(check_host.request(call.ctx, call.actor, body.host))
    job = check_host.request_address(call.ctx, call.actor, str(body.address), ceph_user=body.ceph_user)
    return Accepted(job)


def remove(call: Call) -> Reply:
    """Remove a host that runs no VM from Nacre."""
    remove_host.remove(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def _shown(call: AnyCall, rows: list[Host]) -> list[JsonObject]:
    to_keepers = call.actor.role in SEES_EVERYTHING
    seen = host_facts(call.ctx, rows)
    rules = reservation_rules(call.ctx.settings)
    return [
        show_host(row, facts, for_osds(facts.storage, rules), to_keepers=to_keepers)
        for row, facts in zip(rows, seen, strict=True)
    ]
