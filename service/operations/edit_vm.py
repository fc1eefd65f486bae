"""Change what only people and the next start read of a VM: description, tags, boot order. No host is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.context import Context
from service.db.database import transaction
from service.db.tables import Vm
from service.operations import audit, vm_rows
from service.operations.actor import Actor


@dataclass(frozen=True, slots=True)
class VmChanges:
    """None leaves a thing as it is."""

    description: str | None = None
    tags: tuple[str, ...] | None = None
    boot: tuple[str, ...] | None = None


def edit(ctx: Context, actor: Actor, ref: str, changes: VmChanges) -> Vm:
    """The VM with its changes, at once. Raises NotFoundError, ConflictError (`vm.busy`, `vm.deleting`)."""
    values: dict[str, Any] = {}
    if changes.description is not None:
        values["description"] = changes.description
    if changes.tags is not None:
        values["tags"] = sorted(set(changes.tags))
    if changes.boot is not None:
        values["boot"] = list(changes.boot)
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        if values:
            Vm.update(**values).where(Vm.id == vm.id).execute()
            vm_rows.changed(vm.id)
        changed: Vm = Vm.get_by_id(vm.id)
        if values:
            before, after = audit.definition(vm), audit.definition(changed)
            audit.record(ctx, actor, "edit_vm", "vm", changed, before=before, after=after)
        return changed
