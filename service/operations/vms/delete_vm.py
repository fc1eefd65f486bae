"""Delete a VM with its disks, except kept data disks. It only rolls forward."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm, Volume
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import audit, state_changes, undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.rows import vm_rows, volume_rows


def request(ctx: Context, actor: Actor, ref: str, *, keep_disks: bool = False) -> str:
    """Enqueue the job and return its id.

    `keep_disks` leaves its data disks as volumes of the project.
    """
    with transaction(ctx.db):
        vm = vm_rows.existing(ref, actor.scope)
        before = audit.definition(vm)
        state_changes.change_vm(ctx, vm.id, desired_state="stopped", observed_state="deleting")
        return accept(
            ctx,
            actor,
            OPERATION,
            vm,
            args={"keep_disks": keep_disks},
            undo=[("keep_vm", vm.id, vm.desired_state, vm.observed_state)],
            before=before,
        )


def run(ctx: Context, job: Job) -> None:
    """End the domain, remove the volumes, delete the rows."""
    job.point_of_no_return()
    vm = queries.find_by_id(Vm, job.object_id)
    if vm is None:  # a worker was killed after deleting the rows and before recording the step
        return
    if vm.host is not None:
        job.step("force_off", undo.force_off, ctx, vm.id, vm.host.id)
    if job.args.get("keep_disks"):
        there = job.step("look", _there, ctx, vm)
        job.write("keep_disks", _keep_disks, there)
    for volume in queries.volumes(vm):
        job.step(f"remove_{_step_suffix(volume)}", undo.remove_volume, ctx, volume.pool, volume.storage_name)
    job.write("forget", vm_rows.forget, vm.id)


OPERATION = Operation(kind="delete_vm", run=run, steps_version=1, undo={"keep_vm": undo.keep_vm})


def _step_suffix(volume: Volume) -> str:
    if volume.role == "medium":
        return str(volume.storage_name)
    return str(volume.target if volume.role == "data" else volume.role)


def _there(ctx: Context, vm: Vm) -> list[str]:
    """Return the ids of data volumes that an interrupted deletion has not removed."""
    data = [volume for volume in queries.volumes(vm) if volume.role == "data"]
    return [volume.id for volume in data if ctx.storage.volume(volume_rows.ref(volume)) is not None]


def _keep_disks(volume_ids: list[str]) -> None:
    for volume_id in volume_ids:
        volume_rows.detach(volume_id)
