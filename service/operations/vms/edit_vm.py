"""Change what affects only a VM's display, next start and next placement.

No host is called.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.context import Context
from service.db import placement_groups as groups
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.json_types import Json, JsonObject
from service.operations import audit
from service.operations.actor import Actor
from service.operations.placement import placement_groups
from service.operations.rows import vm_rows


@dataclass(frozen=True, slots=True)
class VmChanges:
    """Changes of a VM; None keeps a value."""

    description: str | None = None
    tags: tuple[str, ...] | None = None
    boot: tuple[str, ...] | None = None
    placement_groups: tuple[str, ...] | None = None


NOTHING = VmChanges()


def edit(ctx: Context, actor: Actor, ref: str, changes: VmChanges) -> Vm:
    """Change the VM and return it. A running guest stays, even against new rules.

    Raises NotFoundError, InvalidError (`placement_group.not_found`), ConflictError (`vm.busy`, `vm.deleting`,
    `placement_group.contradiction`).
    """
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        if changes == NOTHING:
            return vm
        before, columns = _defined(vm), _columns(changes)
        if columns:
            Vm.update(**columns).where(Vm.id == vm.id).execute()
        if changes.placement_groups is not None:
            placement_groups.put(vm, placement_groups.named(changes.placement_groups, vm.project_id, actor.scope))
        vm_rows.changed(vm.id)
        changed: Vm = Vm.get_by_id(vm.id)
        audit.record(ctx, actor, "update_vm", "vm", changed, before=before, after=_defined(changed))
        return changed


def _columns(changes: VmChanges) -> JsonObject:
    wanted = {
        "description": changes.description,
        "tags": sorted(set(changes.tags)) if changes.tags is not None else None,
        "boot": list(changes.boot) if changes.boot is not None else None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _defined(vm: Vm) -> dict[str, Json]:
    return {**audit.definition(vm), "placement_groups": groups.names_of(vm.id)}
