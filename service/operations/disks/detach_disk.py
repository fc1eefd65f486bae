"""Take a data disk off a VM, running or not; its volume is kept, or deleted with all that is on it."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm, Volume
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host import hot_plug
from service.operations.rows import vm_rows, volume_rows
from service.operations.rows.device_names import HOT_PLUGGED


def request(ctx: Context, actor: Actor, ref: str, disk: str, *, delete: bool) -> str:
    """Enqueue; returns the job's id. Raises ConflictError (`volume.is_root`, `disk.not_live`), NotFoundError."""
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        volume = volume_rows.disk_of(vm, disk)
        _check(vm, volume)
        vm_rows.changed(vm.id)
        args = {"volume_id": volume.id, "delete": delete}
        return accept(ctx, actor, OPERATION, vm, args=args, volume=volume.name, delete=delete)


def run(ctx: Context, job: Job) -> None:
    """Once the guest has let go there is no way back."""
    vm = queries.by_id(Vm, job.object_id)
    volume = queries.find_by_id(Volume, job.args["volume_id"])
    if volume is None:  # a worker died between forgetting it and saying so
        return
    job.finish_with({"volume_id": volume.id, "volume": volume.name, "deleted": job.args["delete"]})
    if vm.host is not None:
        with job.undo() as undo_stack:
            undo_stack.push("plug_back", vm.id, vm.host.id, volume.id)
            job.step("unplug", hot_plug.unplug, ctx, vm.id, vm.host.id, str(volume.target))
    job.point_of_no_return()
    job.write("record", _record, volume.id, deleting=job.args["delete"])
    if job.args["delete"]:
        job.step("remove_volume", undo.remove_volume, ctx, volume.pool, volume.storage_name)
        job.write("forget", volume_rows.forget, volume.id)


OPERATION = Operation(kind="detach_disk", run=run, steps_version=1, undo={"plug_back": hot_plug.plug_back})


def _check(vm: Vm, volume: Volume) -> None:
    if volume.role == "root":
        raise ConflictError(
            f"'{volume.target}' is the root disk of VM '{vm.name}': it is deleted only with the VM.",
            code="volume.is_root",
        )
    if volume.role != "data":
        raise ConflictError(
            f"'{volume.target}' is the cloud-init seed of VM '{vm.name}', not a data disk.", code="volume.is_seed"
        )
    if vm.host is not None and volume.bus not in HOT_PLUGGED:
        raise ConflictError(
            f"'{volume.target}' is on {volume.bus}, which cannot be detached from a running VM: "
            f"shut down '{vm.name}' first.",
            code="disk.not_live",
        )


def _record(volume_id: str, *, deleting: bool) -> None:
    volume_rows.detach(volume_id)
    if deleting:
        Volume.update(state="deleting").where(Volume.id == volume_id).execute()
