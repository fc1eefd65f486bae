"""Let a paused VM go on; also one that a failed write has stopped."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Vm
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import changes, vm_rows
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.domain_spec import endpoint


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue; returns the job's id."""
    with transaction(ctx.db):
        vm = vm_rows.running(ref, actor.scope)
        return accept(ctx, actor, OPERATION, vm)


def run(ctx: Context, job: Job) -> None:
    """Start the processors: one step, so that a cancel comes before it or too late."""
    job.step("resume", _resume, ctx, job, queries.by_id(Vm, job.object_id))


OPERATION = Operation(kind="resume_vm", run=run, steps_version=1)


def _resume(ctx: Context, job: Job, vm: Vm) -> None:
    ctx.hypervisors.on(endpoint(queries.host_of(vm))).resume(vm.id)
    with job.transaction():
        changes.change_vm(ctx, vm.id, desired_state="running", observed_state="running", observed_at=ctx.clock.now())
