"""Pause a running VM's vCPUs, or resume them; its memory is kept."""

from __future__ import annotations

from typing import Literal

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import state_changes
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint
from service.operations.rows import vm_rows


def request(ctx: Context, actor: Actor, ref: str, operation: Operation) -> str:
    """Enqueue the job and return its id.

    Raises ConflictError (`vm.not_running`, `vm.busy`), NotFoundError.
    """
    with transaction(ctx.db):
        return accept(ctx, actor, operation, vm_rows.running(ref, actor.scope))


def turn(ctx: Context, job: Job, state: Literal["paused", "running"]) -> None:
    """Pause or resume the vCPUs and record it.

    One step, so that a cancel takes effect before it or not at all.
    """
    vm = queries.by_id(Vm, job.object_id)
    on = ctx.hypervisors.on(endpoint(queries.host_of(vm)))
    (on.suspend if state == "paused" else on.resume)(vm.id)
    with job.transaction():
        state_changes.change_vm(ctx, vm.id, desired_state=state, observed_state=state, observed_at=ctx.clock.now())
