"""What the operations on disks do to volumes' rows: each inside the caller's transaction."""

from __future__ import annotations

from itertools import count

from service.context import Context
from service.db import queries, quotas
from service.db.scope import Scope
from service.db.tables import Drive, Image, Vm, Volume
from service.errors import ConflictError, FieldError, InvalidError, NotFoundError
from service.operations.busy import check_idle
from service.operations.rows.device_names import next_target
from service.operations.rows.new_vm import NewDisk
from storage.refs import ImageRef, VolumeRef

SECTOR_BYTES = 512
DATA_BUS = "virtio"


def ref(volume: Volume) -> VolumeRef:
    """The volume's name in the storage."""
    return VolumeRef(volume.pool, volume.storage_name)


def make(ctx: Context, volume: Volume, job_id: str) -> None:
    """Make the block device: a clone where the row names an image, else blank. May be repeated."""
    if volume.image is None:
        size_bytes, firmware_writes = volume.size_bytes, volume.role == "nvram"
        ctx.storage.create_volume(ref(volume), size_bytes=size_bytes, job_id=job_id, writeback=firmware_writes)
        return
    image = ImageRef(volume.image.pool, volume.image.storage_name)
    ctx.storage.clone(image, ref(volume), size_bytes=volume.size_bytes, job_id=job_id)


def ready_image(image_ref: str, field: str, scope: Scope, *, kind: str) -> Image:
    """The image that a body names, fit to be a disk or to lie in a drive. Raises InvalidError, ConflictError."""
    image = queries.referenced(Image, image_ref, field, scope)
    if image.kind != kind:
        text = {
            "disk": f"Image '{image.name}' is an ISO: put it into a drive.",
            "iso": f"Image '{image.name}' is no ISO: a drive takes nothing else.",
        }[kind]
        raise InvalidError(text, code="image.wrong_kind", errors=(FieldError(field, text),))
    if image.state != "ready":
        raise ConflictError(f"Image '{image.name}' is {image.state}: wait until it is ready.", code="image.not_ready")
    return image


def size_of(new: NewDisk, image: Image | None, *, otherwise: int | None = None) -> int:
    """The size in bytes that is asked for, else `otherwise`, else the image's. Raises InvalidError."""
    size_bytes = new.size_bytes or otherwise or (image.size_bytes if image else None)
    if size_bytes is None:
        text = "A blank disk needs a size."
        raise InvalidError(text, code="volume.no_size", errors=(FieldError("size_gib", text),))
    if image is not None and size_bytes < least_for(image):
        raise InvalidError(
            f"A disk of {size_bytes} bytes is too small for image '{image.name}', which needs {least_for(image)}: "
            "ask for a larger one.",
            code="volume.too_small",
        )
    return size_bytes


def least_for(image: Image) -> int:
    """The bytes that a disk made from the image has at least."""
    return int(max(image.size_bytes, image.min_disk_bytes))


def pool_for(ctx: Context, name: str | None) -> str:
    """The pool to put a volume into. Raises InvalidError (`pool.not_found`), ConflictError (`pool.full`)."""
    if name is not None and name != ctx.settings.vm_pool:
        seen = queries.pool(name)
        if seen is None or not seen.for_vms:
            text = f"There is no pool '{name[:80]}' for disks: 'nacre pool list' shows them, 'nacre pool add' adds one."
            raise InvalidError(text, code="pool.not_found", errors=(FieldError("pool", text),))
    chosen = name or ctx.settings.vm_pool
    seen = queries.pool(chosen)
    if seen is not None and seen.facts["full"]:
        raise ConflictError(f"Pool '{chosen}' is full: delete volumes or add disks.", code="pool.full")
    return chosen


def add_data(ctx: Context, project_id: str, new: NewDisk, scope: Scope, *, name: str, vm: Vm | None = None) -> Volume:
    """A data volume that is yet to be made and yet to be counted; on a VM when there is one."""
    image = ready_image(new.image, "image", scope, kind="disk") if new.image is not None else None
    if queries.name_is_taken(Volume, name, project_id):
        raise ConflictError(f"There is a volume '{name}' already.", code="volume.name_taken")
    volume_id, bus = ctx.ids.uuid(), new.bus or DATA_BUS
    volume: Volume = Volume.create(
        id=volume_id,
        created_at=ctx.clock.now(),
        vm=vm,
        project=project_id,
        role="data",
        name=name,
        bus=bus,
        target=next_target(bus, targets(vm)) if vm is not None else None,
        image=image,
        pool=pool_for(ctx, new.pool),
        storage_name=f"volume-{volume_id}",
        size_bytes=size_of(new, image),
        state="creating",
    )
    return volume


def charge(volume: Volume) -> quotas.Amounts:
    """What the volume counts for."""
    return quotas.of_volume(volume.role, volume.pool, volume.size_bytes)


def targets(vm: Vm) -> set[str]:
    """The targets that the VM's disks and drives have."""
    return {str(row.target) for table in (Volume, Drive) for row in table.select(table.target).where(table.vm == vm.id)}


def free_name(vm: Vm) -> str:
    """A name for a data volume of the VM that nothing in its project has.

    Asked name by name, from the first that is likely to be free: a batch asks a thousand times in one transaction.
    """
    there = Volume.select().where((Volume.vm == vm) & (Volume.role == "data")).count()
    names = (f"{vm.name[:48]}-data-{number}" for number in count(there + 1))
    return next(name for name in names if not queries.name_is_taken(Volume, name, vm.project_id))


def existing(volume_ref: str, scope: Scope) -> Volume:
    """A data volume that no job is at work on. Raises NotFoundError, ConflictError (`volume.busy`)."""
    volume = data_volume(volume_ref, scope)
    check_idle("volume", volume.id, str(volume.name))
    return volume


def data_volume(volume_ref: str, scope: Scope) -> Volume:
    """A data volume by its name or id. Raises NotFoundError; roots and seeds are parts of their VM."""
    volume = queries.get(Volume, volume_ref, scope)
    if volume.role != "data":
        raise queries.not_found("volume", volume_ref)
    return volume


def disk_of(vm: Vm, disk: str) -> Volume:
    """A VM's disk by target, or by its volume's name or id. Raises NotFoundError (`disk.not_found`)."""
    for volume in queries.volumes(vm):
        if volume.target is not None and disk in (volume.target, volume.name, volume.id):
            return volume
    text = f"VM '{vm.name}' has no disk '{disk[: queries.LONGEST_ECHO]}': 'nacre vm show {vm.name}' lists them."
    raise NotFoundError(text, code="disk.not_found")


def forget(volume_id: str) -> None:
    """Remove the volume's row and count it no more. Silent when it is gone."""
    volume = Volume.get_or_none(Volume.id == volume_id)
    if volume is not None:
        quotas.give_back(volume.project_id, charge(volume))
        Volume.delete().where(Volume.id == volume_id).execute()


def detach(volume_id: str) -> None:
    """The volume is on no VM."""
    Volume.update(vm=None, target=None).where(Volume.id == volume_id).execute()
