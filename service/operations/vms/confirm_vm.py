"""Confirm an adopted VM: mark its domain as Nacre's and undefine it in libvirt.

From then on the VM is started from the database: its next start gives it the devices of every Nacre VM.
"""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import audit
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.busy import check_idle
from service.operations.on_host.domain_spec import domain_spec, endpoint
from service.operations.rows import vm_rows


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue the job and return its id.

    Raises NotFoundError, ConflictError (`vm.not_adopted`, `vm.busy`).
    """
    with transaction(ctx.db):
        return accept(ctx, actor, OPERATION, _adopted(actor, ref))


def run(ctx: Context, job: Job) -> None:
    """Mark the domain, then the VM."""
    vm = queries.by_id(Vm, job.object_id)
    job.step("take_over", _take_over, ctx, vm, job.id)
    job.write("record", _record, vm.id)


def release(ctx: Context, actor: Actor, ref: str) -> None:
    """Release an adopted VM that was not confirmed. Raises as request() does.

    It stays running and its disks are kept.
    """
    with transaction(ctx.db):
        vm = _adopted(actor, ref)
        audit.record(ctx, actor, "release_vm", "vm", vm, before=audit.definition(vm))
        vm_rows.forget(vm.id)


OPERATION = Operation(kind="confirm_vm", run=run, steps_version=1)


def _adopted(actor: Actor, ref: str) -> Vm:
    vm = queries.get(Vm, ref, actor.scope)
    if vm.managed:
        raise ConflictError(f"VM '{vm.name}' is not waiting to be confirmed.", code="vm.not_adopted")
    check_idle("vm", vm.id, vm.name)
    return vm


def _take_over(ctx: Context, vm: Vm, job_id: str) -> None:
    host = queries.host_of(vm)
    ctx.hypervisors.on(endpoint(host)).take_over(domain_spec(ctx, vm, host, job_id))


def _record(vm_id: str) -> None:
    Vm.update(managed=True).where(Vm.id == vm_id).execute()
    vm_rows.changed(vm_id)
