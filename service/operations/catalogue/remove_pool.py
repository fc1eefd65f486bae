"""Remove an empty pool from Nacre; the Ceph pool is kept."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Image, Pool, Volume
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor


def remove(ctx: Context, actor: Actor, name: str) -> None:
    """Remove the pool.

    Raises NotFoundError, ConflictError (`pool.in_use`) while it is not empty or is named in the settings.
    """
    with transaction(ctx.db):
        pool = Pool.get_or_none(Pool.name == name)
        if pool is None or not (pool.for_vms or pool.for_images or name in own_pools(ctx)):
            raise queries.not_found("pool", name)
        if name in own_pools(ctx):
            raise ConflictError(f"Pool '{name}' is named in the settings: change them first.", code="pool.in_use")
        held = sum(table.select().where(table.pool == name).count() for table in (Volume, Image))
        if held:
            detail = f"Pool '{name}' has {held} volumes and images: delete them first."
            raise ConflictError(detail, code="pool.in_use")
        Pool.update(for_vms=False, for_images=False).where(Pool.name == name).execute()
        audit.record(ctx, actor, "remove_pool", "pool", pool)


def own_pools(ctx: Context) -> frozenset[str]:
    """Return the pools named in the settings: always in use."""
    return frozenset({ctx.settings.vm_pool, ctx.settings.image_pool})
