"""Host groups over HTTP, and which of them a project may use."""

from __future__ import annotations

from typing import cast

from service.api import paging, show
from service.api.call import Call, Reply
from service.api.models.hosts import CreateHostGroup
from service.db import queries
from service.db.tables import HostGroup
from service.operations import host_groups


def listing(call: Call) -> Reply:
    """All host groups."""
    found = paging.equal(call, queries.readable(HostGroup, call.actor.scope), name=HostGroup.name)
    shown = paging.each(lambda row: show.host_group(row, host_groups.hosts_of(row)))
    return paging.named(call, found, HostGroup, shown)


def one(call: Call) -> Reply:
    """One host group."""
    return _shown(queries.get(HostGroup, call.ref, call.actor.scope))


def create(call: Call) -> Reply:
    """Make a host group."""
    body = cast(CreateHostGroup, call.body)
    return _shown(host_groups.create(call.ctx, call.actor, body.name, body.description), status=201)


def delete(call: Call) -> Reply:
    """Remove a host group; its hosts stay."""
    host_groups.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def add_host(call: Call) -> Reply:
    """Put a host into the group."""
    return _shown(host_groups.add_host(call.ctx, call.actor, call.ref, call.params["host"]))


def remove_host(call: Call) -> Reply:
    """Take a host out of the group."""
    return _shown(host_groups.remove_host(call.ctx, call.actor, call.ref, call.params["host"]))


def allow(call: Call) -> Reply:
    """Let a project use the group's hosts, and no others than its groups'."""
    host_groups.allow(call.ctx, call.actor, call.ref, call.params["group"])
    return Reply(None, status=204)


def disallow(call: Call) -> Reply:
    """Take a group from a project; one without any may use every host."""
    host_groups.disallow(call.ctx, call.actor, call.ref, call.params["group"])
    return Reply(None, status=204)


def _shown(row: HostGroup, status: int = 200) -> Reply:
    return Reply(show.host_group(row, host_groups.hosts_of(row)), status=status)
