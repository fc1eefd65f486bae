"""Have a VM as it is declared: made when it is not there, changed where it differs, left alone where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.errors import ConflictError, FieldError, InvalidError
from service.operations.actor import Actor
from service.operations.busy import check_idle, job_at_work
from service.operations.declare import apply_vm
from service.operations.declare.vm_difference import Declared, Difference, differences
from service.operations.rows import vm_rows
from service.operations.vms import create_vm, edit_vm

EDITED = ("description", "tags", "boot", "placement_groups")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What came of it. `job_id` is what to wait for, also where it was at work before; None: nothing is left to do."""

    vm_id: str
    created: bool
    differences: tuple[Difference, ...]
    job_id: str | None


def declare(ctx: Context, actor: Actor, ref: str, declared: Declared) -> Declaration:
    """All checks, and what can be done at once, in one transaction.

    Raises ConflictError (`vm.unchangeable`, `vm.busy` and what the verbs raise), InvalidError.
    """
    with transaction(ctx.db):
        vm = queries.find(Vm, ref, actor.scope)
        if vm is None:
            return _create(ctx, actor, ref, declared)
        _check_name(vm.name, declared)
        if not vm.managed:
            vm_rows.existing(vm.id, actor.scope)  # tells what to do about it
        found = differences(ctx, actor.scope, vm, declared)
        _check(vm, found)
        if not found:
            return Declaration(vm.id, created=False, differences=(), job_id=job_at_work(vm.id))
        check_idle("vm", vm.id, vm.name, with_asking=True)
        vm = vm_rows.changeable(vm.id, actor.scope)
        _edit(ctx, actor, vm, found)
        todo = [{"verb": one.verb, "args": one.args} for one in found if one.verb]
        job_id = apply_vm.request(ctx, actor, vm, todo) if todo else None
        return Declaration(vm.id, created=False, differences=found, job_id=job_id)


def _create(ctx: Context, actor: Actor, ref: str, declared: Declared) -> Declaration:
    _check_name(ref, declared)
    job_id = create_vm.request(ctx, actor, declared.vm)
    vm = queries.get(Vm, ref, actor.scope)
    return Declaration(vm.id, created=True, differences=(), job_id=job_id)


def _check_name(name: str, declared: Declared) -> None:
    if declared.vm.name != name:
        told = f"the path means VM '{name[:80]}': 'nacre vm rename' gives it another name"
        raise InvalidError(f"The name is another: {told}.", errors=(FieldError("name", told),))


def _check(vm: Vm, found: tuple[Difference, ...]) -> None:
    never = [one for one in found if one.when == "never"]
    if never:
        names = ", ".join(one.field for one in never)
        raise ConflictError(
            f"VM '{vm.name}' has another {names}, for life: make a new VM, or declare what it has.",
            code="vm.unchangeable",
            errors=tuple(FieldError(one.field, f"is {one.before!r}, and cannot become {one.to!r}") for one in never),
        )


def _edit(ctx: Context, actor: Actor, vm: Vm, found: tuple[Difference, ...]) -> None:
    values = {one.field: one.to for one in found if one.field in EDITED}
    if values:
        edit_vm.edit(ctx, actor, vm.id, edit_vm.VmChanges(**values))
