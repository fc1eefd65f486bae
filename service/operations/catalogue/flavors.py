"""Create and delete flavors."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Flavor, Vm
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor


@dataclass(frozen=True, slots=True)
class NewFlavor:
    """A flavor to be created."""

    name: str
    vcpus: int
    max_vcpus: int
    memory_mib: int
    max_memory_mib: int
    disk_bytes: int


def create(ctx: Context, actor: Actor, new: NewFlavor) -> Flavor:
    """Create the flavor. Raises ConflictError (`flavor.name_taken`)."""
    with transaction(ctx.db):
        if queries.find(Flavor, new.name, actor.scope) is not None:
            raise ConflictError(f"There is a flavor '{new.name}' already.", code="flavor.name_taken")
        flavor: Flavor = Flavor.create(id=ctx.ids.uuid(), created_at=ctx.clock.now(), **asdict(new))
        audit.record(ctx, actor, "create_flavor", "flavor", flavor, after=audit.definition(flavor))
        return flavor


def delete(ctx: Context, actor: Actor, ref: str) -> None:
    """Delete the flavor. Raises ConflictError (`flavor.in_use`)."""
    with transaction(ctx.db):
        flavor = queries.get(Flavor, ref, actor.scope)
        if Vm.select().where(Vm.flavor == flavor).exists():
            raise ConflictError(f"VMs of flavor '{flavor.name}' exist: delete them first.", code="flavor.in_use")
        audit.record(ctx, actor, "delete_flavor", "flavor", flavor, before=audit.definition(flavor))
        flavor.delete_instance()
