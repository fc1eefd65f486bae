"""Use a pool no more. Nothing is changed in the storage cluster."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Image, Pool, Volume
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor


def remove(ctx: Context, actor: Actor, name: str) -> None:
    """Raises NotFoundError, ConflictError (`pool.in_use`) while it holds something, or is one of the settings' own."""
    with transaction(ctx.db):
        pool = Pool.get_or_none(Pool.name == name)
        if pool is None or not (pool.for_vms or pool.for_images or name in own_pools(ctx)):
            raise queries.not_found("pool", name)
        if name in own_pools(ctx):
            raise ConflictError(f"Pool '{name}' is named in the service's settings.", code="pool.in_use")
        held = sum(table.select().where(table.pool == name).count() for table in (Volume, Image))
        if held:
            told = f"Pool '{name}' holds {held} volumes and images: delete them first."
            raise ConflictError(told, code="pool.in_use")
        Pool.update(for_vms=False, for_images=False).where(Pool.name == name).execute()
        audit.record(ctx, actor, "remove_pool", "pool", pool)


def own_pools(ctx: Context) -> frozenset[str]:
    """The pools that the settings name: always in use."""
    return frozenset({ctx.settings.vm_pool, ctx.settings.image_pool})
