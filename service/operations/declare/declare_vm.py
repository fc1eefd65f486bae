"""Bring a VM to its declaration: create it, or change it where it differs."""

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
    """Result of a declaration.

    `job_id` is the job to wait for, new or already running; None if nothing is left to do.
    """

    vm_id: str
    created: bool
    differences: tuple[Difference, ...]
    job_id: str | None


def declare(ctx: Context, actor: Actor, ref: str, declared: Declared) -> Declaration:
    """Check everything, write what needs no job, enqueue the rest: one transaction.

    Raises ConflictError (`vm.unchangeable`, `vm.busy` and those of the verbs), InvalidError.
    """
    with transaction(ctx.db):
        vm = queries.find(Vm, ref, actor.scope)
        if vm is None:
            return _create(ctx, actor, ref, declared)
        _check_name(vm.name, declared)
        if not vm.managed:
            vm_rows.existing(vm.id, actor.scope)  # raises with the next step
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
        text = f"the path names VM '{name[:80]}': use 'nacre vm rename' to rename it"
        raise InvalidError(f"The name differs from the path: {text}.", errors=(FieldError("name", text),))


def _check(vm: Vm, found: tuple[Difference, ...]) -> None:
    never = [one for one in found if one.when == "never"]
    if never:
        names = ", ".join(one.field for one in never)
        raise ConflictError(
            f"VM '{vm.name}' has another {names}, which cannot change: create a new VM, or declare its own.",
            code="vm.unchangeable",
            errors=tuple(FieldError(each.field, f"is {each.before!r}, cannot become {each.to!r}") for each in never),
        )


def _edit(ctx: Context, actor: Actor, vm: Vm, found: tuple[Difference, ...]) -> None:
    values = {one.field: one.to for one in found if one.field in EDITED}
    if values:
        edit_vm.edit(ctx, actor, vm.id, edit_vm.VmChanges(**values))
