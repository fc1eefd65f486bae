"""Host groups over HTTP, and which of them a project may use."""

from __future__ import annotations

from typing import cast

from service.api.models.hosts import ChangeHostGroup, CreateHostGroup
from service.db import queries
from service.db.tables import HostGroup
from service.edge import paging
from service.edge.call import Call, Reply
from service.operations.hosts import host_groups
from service.operations.placement import algorithms
from service.views.hosts import show_host_group


def listing(call: Call) -> Reply:
    """All host groups."""
    found = paging.equal(call, queries.readable(HostGroup, call.actor.scope), name=HostGroup.name)
    shown = paging.each(lambda row: show_host_group(row, host_groups.hosts_of(row)))
    return paging.named(call, found, HostGroup, shown)


def one(call: Call) -> Reply:
    """One host group."""
    return _shown(queries.get(HostGroup, call.ref, call.actor.scope))


def create(call: Call) -> Reply:
    """Make a host group."""
    body = cast(CreateHostGroup, call.body)
    return _shown(host_groups.create(call.ctx, call.actor, body.name, body.description), status=201)


def change(call: Call) -> Reply:
    """Change how far a group's hosts are promised, and by which algorithm its projects' VMs are placed.

    A host in several groups is promised by the lowest of their ratios. Less than is promised already is allowed: such
    a host says what it is overcommitted by, and gets no new VMs.
    """
    body = cast(ChangeHostGroup, call.body)
    columns: dict[str, str | int | None] = {}
    if body.description is not None:
        columns["description"] = body.description
    for name in body.model_fields_set & {"vcpu_ratio", "memory_ratio"}:
        ratio = getattr(body, name)
        columns[f"{name}_milli"] = None if ratio is None else round(ratio * 1000)
    if "algorithm" in body.model_fields_set:
        columns["algorithm"] = body.algorithm and algorithms.check(call.ctx.settings, body.algorithm)
    return _shown(host_groups.change(call.ctx, call.actor, call.ref, columns))


def delete(call: Call) -> Reply:
    """Remove a host group; its hosts stay."""
    host_groups.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def add_host(call: Call) -> Reply:
    """Put a host into the group."""
    return _shown(host_groups.put_host(call.ctx, call.actor, call.ref, call.params["host"], inside=True))


def remove_host(call: Call) -> Reply:
    """Take a host out of the group."""
    return _shown(host_groups.put_host(call.ctx, call.actor, call.ref, call.params["host"], inside=False))


def allow(call: Call) -> Reply:
    """Let a project use the group's hosts, and no others than its groups'."""
    host_groups.bind(call.ctx, call.actor, call.ref, call.params["group"], bound=True)
    return Reply(None, status=204)


def disallow(call: Call) -> Reply:
    """Take a group from a project; one without any may use every host."""
    host_groups.bind(call.ctx, call.actor, call.ref, call.params["group"], bound=False)
    return Reply(None, status=204)


def _shown(row: HostGroup, status: int = 200) -> Reply:
    return Reply(show_host_group(row, host_groups.hosts_of(row)), status=status)
