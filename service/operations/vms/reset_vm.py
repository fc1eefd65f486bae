"""Reset a running VM, like the reset button of a machine."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint
from service.operations.rows import vm_rows


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue the job and return its id."""
    with transaction(ctx.db):
        vm = vm_rows.running(ref, actor.scope)
        return accept(ctx, actor, OPERATION, vm)


def run(ctx: Context, job: Job) -> None:
    """Reset the domain."""
    vm = queries.by_id(Vm, job.object_id)
    job.step("reset", _reset, ctx, vm)


OPERATION = Operation(kind="reset_vm", run=run, steps_version=1)


def _reset(ctx: Context, vm: Vm) -> None:
    ctx.hypervisors.on(endpoint(queries.host_of(vm))).reset(vm.id)
