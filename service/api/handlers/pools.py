"""Handlers for storage pools."""

from __future__ import annotations

from service.api.models.hosts import AddPool, ListPools
from service.db import queries
from service.db.tables import Pool
from service.edge import paging
from service.edge.call import Accepted, Call, Reply
from service.json_types import JsonObject
from service.operations.catalogue import add_pool, remove_pool
from service.views.pools import show_pool


def list_(call: Call[None, ListPools]) -> Reply:
    """List pools for block devices: those in use and those that can be added."""
    found = paging.equal(call, Pool.select(), name=Pool.name)

    def show(rows: list[Pool]) -> list[JsonObject]:
        return [_shown(call, row) for row in rows]

    return paging.page(call, found, key=Pool.name, sorts={"name": Pool.name}, show=show)


def show(call: Call) -> Reply:
    """Show a pool."""
    row = Pool.get_or_none(Pool.name == call.ref)
    if row is None:
        raise queries.not_found("pool", call.ref)
    return Reply(_shown(call, row))


def add(call: Call[AddPool]) -> Accepted:
    """Add an existing Ceph pool, after a test image and clone in it succeed."""
    body = call.body
    return Accepted(add_pool.request(call.ctx, call.actor, body.name, body.uses))


def remove(call: Call) -> Reply:
    """Remove an empty pool from Nacre; the Ceph pool is kept."""
    remove_pool.remove(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def _shown(call: Call, row: Pool) -> JsonObject:
    settings = call.ctx.settings
    return show_pool(row, vm_pool=settings.vm_pool, image_pool=settings.image_pool)
