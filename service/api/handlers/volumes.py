"""Handlers for data volumes: disks that exist with or without a VM."""

from __future__ import annotations

from service.api.handlers.disks import new_disk
from service.api.models.disks import CreateVolume, GrowVolume, ListVolumes
from service.db import queries
from service.db.tables import Volume
from service.edge import paging
from service.edge.call import Accepted, Call, Reply
from service.edge.models import GIB
from service.operations.disks import create_volume, delete_volume, grow_volume
from service.operations.rows import volume_rows
from service.views.volumes import show_volume, show_volumes


def list_(call: Call[None, ListVolumes]) -> Reply:
    """List data volumes, attached or not."""
    found = queries.readable(Volume, call.actor.scope).where(Volume.role == "data")
    found = paging.equal(call, found, name=Volume.name, pool=Volume.pool, state=Volume.state)
    return paging.named(call, paging.related(call, found, vm=Volume.vm), Volume, show_volumes)


def show(call: Call) -> Reply:
    """Show a data volume."""
    return Reply(show_volume(volume_rows.data_volume(call.ref, call.actor.scope)))


def create(call: Call[CreateVolume]) -> Accepted:
    """Create a data volume that is not attached."""
    body = call.body
    return Accepted(create_volume.request(call.ctx, call.actor, body.name, new_disk(body)))


def delete(call: Call) -> Accepted:
    """Delete a data volume that is not attached."""
    return Accepted(delete_volume.request(call.ctx, call.actor, call.ref))


def grow(call: Call[GrowVolume]) -> Accepted:
    """Grow a data volume, attached or not."""
    body = call.body
    return Accepted(grow_volume.request(call.ctx, call.actor, call.ref, body.size_gib * GIB))
