"""Handlers for placement groups."""

from __future__ import annotations

from service.api.models.placement_groups import CreatePlacementGroup, ListPlacementGroups, UpdatePlacementGroup
from service.db import queries
from service.db.tables import PlacementGroup
from service.edge import paging
from service.edge.call import Call, Reply
from service.operations.placement import placement_groups
from service.views.placement_groups import show_placement_groups


def list_(call: Call[None, ListPlacementGroups]) -> Reply:
    """List placement groups with their VMs, hosts and status."""
    found = queries.readable(PlacementGroup, call.actor.scope)
    found = paging.equal(call, found, name=PlacementGroup.name, kind=PlacementGroup.kind)
    return paging.named(call, found, PlacementGroup, show_placement_groups)


def show(call: Call) -> Reply:
    """Show a placement group."""
    return Reply(show_placement_groups([queries.get(PlacementGroup, call.ref, call.actor.scope)])[0])


def create(call: Call[CreatePlacementGroup]) -> Reply:
    """Create a placement group."""
    body = call.body
    made = placement_groups.create(call.ctx, call.actor, name=body.name, kind=body.kind, hard=body.hard)
    return Reply(show_placement_groups([made])[0], status=201)


def update(call: Call[UpdatePlacementGroup]) -> Reply:
    """Update a placement group to hard or soft; running VMs do not move."""
    body = call.body
    return Reply(show_placement_groups([placement_groups.change(call.ctx, call.actor, call.ref, hard=body.hard)])[0])


def delete(call: Call) -> Reply:
    """Delete a placement group that no VM is in."""
    placement_groups.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)
