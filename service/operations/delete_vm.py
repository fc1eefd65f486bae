"""Delete a VM with its disks. There is no way back: from the first step on it only rolls forward."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Vm
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import undo, vm_rows
from service.operations.accept import accept
from service.operations.actor import Actor


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue; returns the job's id."""
    with transaction(ctx.db):
        vm = vm_rows.existing(ref)
        Vm.update(desired_state="stopped", observed_state="deleting").where(Vm.id == vm.id).execute()
        return accept(ctx, actor, OPERATION, vm, undo=[("keep_vm", vm.id, vm.desired_state, vm.observed_state)])


def run(ctx: Context, job: Job) -> None:
    """End the domain, remove the volumes, forget the rows."""
    job.point_of_no_return()
    vm = queries.find(Vm, job.object_id)
    if vm is None:  # a worker died between forgetting it and saying so
        return
    if vm.host is not None:
        job.step("force_off", undo.force_off, ctx, vm.id, vm.host.id)
    for volume in queries.volumes(vm):
        job.step(f"remove_{volume.role}", undo.remove_volume, ctx, volume.pool, volume.rbd_name)
    job.write("forget", vm_rows.forget, vm.id)


OPERATION = Operation(kind="delete_vm", run=run, steps_version=1, undo={"keep_vm": undo.keep_vm})
