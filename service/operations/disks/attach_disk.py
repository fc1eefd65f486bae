"""Give a VM one more disk, running or not: a new one, or a volume that is there."""

from __future__ import annotations

from service.context import Context
from service.db import queries, quotas
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
from service.operations.rows.device_names import HOT_PLUGGED, next_target
from service.operations.rows.new_vm import NewDisk

MOST_DISKS = 24


def request(ctx: Context, actor: Actor, ref: str, new: NewDisk) -> str:
    """A disk to be made; returns the job's id."""
    with transaction(ctx.db):
        vm = _taker(ref, actor, new.bus)
        name = new.name or volume_rows.free_name(vm)
        volume = volume_rows.add_data(ctx, vm.project_id, new, actor.scope, name=name, vm=vm)
        quotas.claim(vm.project_id, volume_rows.charge(volume))
        return _accept(ctx, actor, vm, volume, undo_verb="forget_volume")


def request_existing(ctx: Context, actor: Actor, ref: str, volume_ref: str, bus: str | None) -> str:
    """A volume that is on no VM; returns the job's id. Raises ConflictError (`volume.attached`, `volume.not_ready`)."""
    with transaction(ctx.db):
        vm = _taker(ref, actor, bus)
        volume = volume_rows.existing(volume_ref, actor.scope)
        if volume.project_id != vm.project_id:
            raise queries.not_found("volume", volume_ref)
        if volume.vm is not None:
            raise ConflictError(
                f"Volume '{volume.name}' is on VM '{volume.vm.name}': detach it there first.", code="volume.attached"
            )
        if volume.state != "ready":
            raise ConflictError(f"Volume '{volume.name}' is {volume.state}.", code="volume.not_ready")
        volume.bus = bus or volume_rows.DATA_BUS
        volume.target = next_target(volume.bus, volume_rows.targets(vm))
        volume.vm = vm
        volume.save()
        return _accept(ctx, actor, vm, volume, undo_verb="leave_volume")


def run(ctx: Context, job: Job) -> None:
    """Make the volume where it is new, show it to the guest where there is one."""
    vm = queries.by_id(Vm, job.object_id)
    volume = queries.by_id(Volume, job.args["volume_id"])
    with job.undo() as undo_stack:
        if job.args["is_new"]:
            undo_stack.push("remove_volume", volume.pool, volume.storage_name)
            job.step("make", volume_rows.make, ctx, volume, job.id)
        if vm.host is not None:
            undo_stack.push("unplug", vm.id, vm.host.id, volume.target)
            job.step("plug_in", _plug_in, ctx, job, vm, volume)
        else:
            job.write("record", _record, volume.id)
    job.finish_with({"volume_id": volume.id, "volume": volume.name, "target": volume.target})


def forget_volume(ctx: Context, volume_id: str) -> None:
    """The volume was not made after all."""
    with transaction(ctx.db):
        volume_rows.forget(volume_id)


def leave_volume(ctx: Context, volume_id: str) -> None:
    """The volume stays on no VM after all."""
    with transaction(ctx.db):
        volume_rows.detach(volume_id)


OPERATION = Operation(
    kind="attach_disk",
    run=run,
    steps_version=1,
    undo={
        "remove_volume": undo.remove_volume,
        "unplug": hot_plug.unplug,
        "forget_volume": forget_volume,
        "leave_volume": leave_volume,
    },
)


def _taker(ref: str, actor: Actor, bus: str | None) -> Vm:
    vm = vm_rows.changeable(ref, actor.scope)
    if len(queries.volumes(vm)) >= MOST_DISKS:
        raise ConflictError(f"VM '{vm.name}' has {MOST_DISKS} disks, which is the most.", code="disk.too_many")
    if vm.host is not None and (bus or volume_rows.DATA_BUS) not in HOT_PLUGGED:
        raise ConflictError(
            f"VM '{vm.name}' runs, and a running VM takes disks on {' and '.join(HOT_PLUGGED)} only: use one of these, "
            f"or shut it down first.",
            code="disk.not_live",
        )
    if bus == "ide" and vm.chipset != "pc":
        raise ConflictError(f"VM '{vm.name}' has no IDE: only the chipset 'pc' has.", code="disk.no_bus")
    return vm


def _accept(ctx: Context, actor: Actor, vm: Vm, volume: Volume, *, undo_verb: str) -> str:
    vm_rows.changed(vm.id)
    args = {"volume_id": volume.id, "is_new": undo_verb == "forget_volume"}
    return accept(ctx, actor, OPERATION, vm, args=args, undo=[(undo_verb, volume.id)], volume=volume.name)


def _plug_in(ctx: Context, job: Job, vm: Vm, volume: Volume) -> None:
    """One step, so that a cancel comes before it or too late: a guest that has the disk may never let go of it."""
    hot_plug.plug_in(ctx, vm, volume)
    with job.transaction():
        _record(volume.id)


def _record(volume_id: str) -> None:
    Volume.update(state="ready").where(Volume.id == volume_id).execute()
