"""Force a VM off at once, without a shutdown of the guest."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.rows import vm_rows
from service.operations.vms.shut_down_vm import record_stopped


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue the job and return its id. A VM that is off gets that desired state."""
    with transaction(ctx.db):
        vm = vm_rows.to_end(ref, actor.scope)
        return accept(ctx, actor, OPERATION, vm)


def run(ctx: Context, job: Job) -> None:
    """End the domain and release the host's capacity.

    One step, so that a cancel takes effect before it or not at all.
    """
    vm = queries.by_id(Vm, job.object_id)
    job.step("force_off", _force_off, ctx, job, vm)


OPERATION = Operation(kind="force_off_vm", run=run, steps_version=2)


def _force_off(ctx: Context, job: Job, vm: Vm) -> None:
    if vm.host is not None:
        undo.force_off(ctx, vm.id, vm.host.id)
    with job.transaction():
        record_stopped(ctx, vm.id)
