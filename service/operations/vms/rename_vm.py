"""Rename a VM. The guest's own hostname is unchanged: only the guest can set that."""

from __future__ import annotations

from contextlib import suppress

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.errors import ConflictError
from service.hypervisor.errors import DomainNotFoundError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import audit
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint
from service.operations.rows import vm_rows


def request(ctx: Context, actor: Actor, ref: str, name: str) -> str:
    """Change the name at once and enqueue the job; return its id.

    Raises ConflictError (`vm.name_taken`).
    """
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        if name != vm.name and queries.name_is_taken(Vm, name, vm.project_id):
            raise ConflictError(f"There is a VM '{name}' already.", code="vm.name_taken")
        before, defined = vm.name, audit.definition(vm)
        Vm.update(name=name).where(Vm.id == vm.id).execute()
        vm_rows.changed(vm.id)
        return accept(ctx, actor, OPERATION, vm, undo=[("name_back", vm.id, before)], before=defined, name=name)


def run(ctx: Context, job: Job) -> None:
    """Set the domain's title, shown by the hypervisor's tools."""
    vm = queries.by_id(Vm, job.object_id)
    if vm.host is not None:
        job.step("set_title", _set_title, ctx, vm)
    job.finish_with({"name": vm.name, "hostname": "unchanged inside the guest"})


def name_back(ctx: Context, vm_id: str, before: str) -> None:
    """Restore the old name, unless another VM has taken it since."""
    with transaction(ctx.db):
        vm = queries.by_id(Vm, vm_id)
        if not queries.name_is_taken(Vm, before, vm.project_id):
            Vm.update(name=before).where(Vm.id == vm_id).execute()
    vm = queries.by_id(Vm, vm_id)
    if vm.host is not None:
        _set_title(ctx, vm)


OPERATION = Operation(kind="rename_vm", run=run, steps_version=1, undo={"name_back": name_back})


def _set_title(ctx: Context, vm: Vm) -> None:
    with suppress(DomainNotFoundError):
        ctx.hypervisors.on(endpoint(queries.host_of(vm))).set_title(vm.id, vm.name)
