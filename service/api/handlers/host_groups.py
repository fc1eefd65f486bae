"""Handlers for host groups and their grants to projects."""

from __future__ import annotations

from service.api.models.hosts import CreateHostGroup, UpdateHostGroup
from service.db import queries
from service.db.tables import HostGroup
from service.edge import paging
from service.edge.call import Call, Reply
from service.edge.models import ListNamed
from service.json_types import JsonObject
from service.operations.hosts import host_groups
from service.operations.placement import algorithms
from service.views.hosts import show_host_group


def list_(call: Call[None, ListNamed]) -> Reply:
    """List host groups with their hosts."""
    found = paging.equal(call, queries.readable(HostGroup, call.actor.scope), name=HostGroup.name)
    return paging.named(call, found, HostGroup, paging.each(_with_hosts))


def show(call: Call) -> Reply:
    """Show a host group."""
    return _shown(queries.get(HostGroup, call.ref, call.actor.scope))


def create(call: Call[CreateHostGroup]) -> Reply:
    """Create a host group."""
    body = call.body
    return _shown(host_groups.create(call.ctx, call.actor, body.name, body.description), status=201)


def update(call: Call[UpdateHostGroup]) -> Reply:
    """Update a host group's description, overcommit ratios and placement algorithm.

    A host in several groups uses the lowest of their ratios. Less capacity than is allocated already is allowed: the
    host then shows `overcommitted_by` and gets no new VMs.
    """
    body = call.body
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
    """Delete a host group; its hosts are kept."""
    host_groups.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def add_host(call: Call) -> Reply:
    """Add a host to a host group."""
    return _shown(host_groups.put_host(call.ctx, call.actor, call.ref, call.params["host"], inside=True))


def remove_host(call: Call) -> Reply:
    """Remove a host from a host group; VMs on the host stay there."""
    return _shown(host_groups.put_host(call.ctx, call.actor, call.ref, call.params["host"], inside=False))


def grant(call: Call) -> Reply:
    """Grant a project the use of a host group.

    A project with at least one host group may use only the hosts of its groups.
    """
    host_groups.bind(call.ctx, call.actor, call.ref, call.params["group"], bound=True)
    return Reply(None, status=204)


def revoke(call: Call) -> Reply:
    """Revoke a project's use of a host group.

    A project without any host group may use every host.
    """
    host_groups.bind(call.ctx, call.actor, call.ref, call.params["group"], bound=False)
    return Reply(None, status=204)


def _shown(row: HostGroup, status: int = 200) -> Reply:
    return Reply(_with_hosts(row), status=status)


def _with_hosts(row: HostGroup) -> JsonObject:
    return show_host_group(row, host_groups.hosts_of(row))
