"""Insert, change and eject the ISO image in a VM's CD-ROM drive, running or not.

QEMU opens every device for writing, also one that the guest can only read, and hosts may not write where images are: so
what lies in a drive is a clone of the image, made at once and removed when it is taken out.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Drive, Image, Vm, Volume
from service.errors import ConflictError, NotFoundError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host import hot_plug
from service.operations.rows import vm_rows, volume_rows
from service.operations.rows.device_names import next_target

BUS = {"q35": "sata", "pc": "ide"}  # what every installer knows


def insert(ctx: Context, actor: Actor, ref: str, image_ref: str, drive: str | None) -> str:
    """Put an ISO into the drive, whatever lies there now; returns the job's id. A stopped VM without one gets it."""
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        image = volume_rows.ready_image(image_ref, "image", actor.scope, kind="iso")
        found = _drive(vm, drive)
        chosen, medium = found or _new_drive(ctx, vm), add_medium(ctx, vm, image)
        new_drive = [("drop_drive", chosen.id)] if found is None else []
        return _accept(ctx, actor, vm, chosen, medium, [*new_drive, ("drop_medium", medium.id)])


def eject(ctx: Context, actor: Actor, ref: str, drive: str | None) -> str:
    """Leave the drive empty; returns the job's id. Raises NotFoundError (`drive.not_found`)."""
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        chosen = _drive(vm, drive)
        if chosen is None:
            raise NotFoundError(f"VM '{vm.name}' has no CD-ROM drive.", code="drive.not_found")
        return _accept(ctx, actor, vm, chosen, None, [])


def run(ctx: Context, job: Job) -> None:
    """Clone the new medium, show it to a guest that runs, remove the old one."""
    vm, drive_id = queries.by_id(Vm, job.object_id), job.args["drive_id"]
    old, new = (_volume(job.args[key]) for key in ("old_id", "new_id"))
    with job.undo() as undo_stack:
        if new is not None:
            job.step("clone", volume_rows.make, ctx, new, job.id)
        undo_stack.push("put_back", vm.id, drive_id, job.args["old_id"])
        job.write("lay_in", _lay_in, drive_id, job.args["new_id"])
        if vm.host is not None:
            job.step("load", hot_plug.load, ctx, vm, Drive.get_by_id(drive_id))
    job.point_of_no_return()
    if old is not None:
        job.step("remove", undo.remove_volume, ctx, old.pool, old.storage_name)
        job.write("forget", volume_rows.forget, old.id)
    job.finish_with({"drive": Drive.get_by_id(drive_id).target, "image": new.image.name if new and new.image else None})


def put_back(ctx: Context, vm_id: str, drive_id: str, old_id: str | None) -> None:
    """What lay in the drive lies there again."""
    with transaction(ctx.db):
        _lay_in(drive_id, old_id)
    vm = queries.by_id(Vm, vm_id)
    if vm.host is not None:
        hot_plug.load(ctx, vm, Drive.get_by_id(drive_id))


def drop_medium(ctx: Context, volume_id: str) -> None:
    """The new medium was not laid in after all."""
    volume = _volume(volume_id)
    if volume is not None:
        ctx.storage.remove_volume(volume_rows.ref(volume))
        with transaction(ctx.db):
            volume_rows.forget(volume_id)


def drop_drive(ctx: Context, drive_id: str) -> None:
    """The VM did not get a drive after all."""
    with transaction(ctx.db):
        Drive.delete().where(Drive.id == drive_id).execute()


OPERATION = Operation(
    kind="change_medium",
    run=run,
    steps_version=1,
    undo={"put_back": put_back, "drop_medium": drop_medium, "drop_drive": drop_drive},
)


def add_drive(ctx: Context, vm: Vm, bus: str) -> Drive:
    """An empty drive's row, inside the caller's transaction."""
    drive: Drive = Drive.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        vm=vm,
        bus=bus,
        target=next_target(bus, volume_rows.targets(vm)),
    )
    return drive


def add_medium(ctx: Context, vm: Vm, image: Image) -> Volume:
    """The row of an image's clone that is to lie in a drive of the VM, inside the caller's transaction."""
    volume_id = ctx.ids.uuid()
    volume: Volume = Volume.create(
        id=volume_id,
        created_at=ctx.clock.now(),
        vm=vm,
        project=vm.project_id,
        role="medium",
        pool=ctx.settings.vm_pool,
        storage_name=f"medium-{volume_id}",
        size_bytes=image.size_bytes,
        image=image,
    )
    return volume


def lay_in(drive: Drive, medium: Volume | None) -> None:
    """The drive's row says what lies in it, inside the caller's transaction."""
    image = medium.image if medium is not None else None
    Drive.update(volume=medium, image=image).where(Drive.id == drive.id).execute()


def _lay_in(drive_id: str, volume_id: str | None) -> None:
    lay_in(Drive.get_by_id(drive_id), _volume(volume_id))


def _volume(volume_id: str | None) -> Volume | None:
    return queries.find_by_id(Volume, volume_id) if volume_id is not None else None


def _drive(vm: Vm, target: str | None) -> Drive | None:
    """The named drive, or the first; None when none is named and the VM has none."""
    drives = queries.drives(vm)
    if target is None:
        return drives[0] if drives else None
    for drive in drives:
        if drive.target == target:
            return drive
    text = f"VM '{vm.name}' has no drive '{target[:80]}': 'nacre vm show {vm.name}' lists them."
    raise NotFoundError(text, code="drive.not_found")


def _new_drive(ctx: Context, vm: Vm) -> Drive:
    if vm.host is not None:
        raise ConflictError(
            f"VM '{vm.name}' has no CD-ROM drive, and a running VM gets none: shut it down first.",
            code="drive.not_live",
        )
    return add_drive(ctx, vm, BUS[vm.chipset])


def _accept(
    ctx: Context, actor: Actor, vm: Vm, drive: Drive, medium: Volume | None, taken_back: Sequence[tuple[str, str]]
) -> str:
    vm_rows.changed(vm.id)
    new_id = medium.id if medium is not None else None
    return accept(
        ctx,
        actor,
        OPERATION,
        vm,
        args={"drive_id": drive.id, "old_id": drive.volume_id, "new_id": new_id},
        undo=taken_back,
        drive=drive.target,
        image=medium.image.name if medium is not None and medium.image is not None else None,
    )
