"""Delete an image; while clones exist it is retired instead."""

from __future__ import annotations

import structlog

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Drive, Image, ImageShare, Vm, Volume
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.authorise import authorise
from service.operations.busy import check_idle
from service.operations.images.import_image import forget_image, remove_image
from storage.errors import BusyError

log = structlog.get_logger(__name__)

LONGEST_NAME = 63


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue the job and return its id.

    Raises ConflictError (`image.in_use`: an ISO in a drive, `image.busy`).
    """
    with transaction(ctx.db):
        image = queries.get(Image, ref, actor.scope)
        authorise(actor, "image:write", image)
        check_idle("image", image.id, image.name)
        _check_in_no_drive(image)
        Image.update(state="deleting").where(Image.id == image.id).execute()
        return accept(ctx, actor, OPERATION, image, undo=[("keep_image", image.id, image.state)])


def run(ctx: Context, job: Job) -> None:
    """Retire the image, or remove its block device, then its row."""
    job.point_of_no_return()
    image = queries.find_by_id(Image, job.object_id)
    if image is None:  # a worker was killed after deleting the row and before recording the step
        return
    clones = job.write("retire", _retire, image.id)
    job.finish_with({"clones": clones})
    if clones == 0:
        job.step("remove", remove_image, ctx, image.pool, image.storage_name)
        job.write("forget", forget_image, ctx, image.id)


def keep_image(ctx: Context, image_id: str, state: str) -> None:
    """Undo the deletion: restore the state."""
    with transaction(ctx.db):
        Image.update(state=state).where(Image.id == image_id).execute()


def remove_retired(ctx: Context) -> None:
    """Remove retired images whose last clone is gone.

    Raises StorageError: retry later. An image with a clone that was made by hand is skipped, the others are removed.
    """
    unused = Image.select().where(Image.state == "retired")
    for table in (Volume, Drive, Vm):
        unused = unused.where(Image.id.not_in(table.select(table.image).where(table.image.is_null(False))))
    for image in list(unused):
        try:
            remove_image(ctx, image.pool, image.storage_name)
        except BusyError as error:
            log.warning("image.not_removed", image_id=image.id, reason=str(error))
            continue
        forget_image(ctx, image.id)


OPERATION = Operation(kind="delete_image", run=run, steps_version=2, undo={"keep_image": keep_image})


def _retire(image_id: str) -> int:
    """Return the number of clones; if there are any, hide the image and free its name."""
    clones: int = Volume.select().where(Volume.image == image_id).count()
    if clones:
        name = Image.get_by_id(image_id).name
        mark = f"~{image_id[:8]}"
        ImageShare.delete().where(ImageShare.image == image_id).execute()
        retired = {"state": "retired", "visibility": "private", "name": name[: LONGEST_NAME - len(mark)] + mark}
        Image.update(**retired).where(Image.id == image_id).execute()
    return clones


def _check_in_no_drive(image: Image) -> None:
    drive = Drive.select().where(Drive.image == image.id).first()
    if drive is not None:
        detail = f"Image '{image.name}' is in a CD-ROM drive of a VM: eject it first."
        raise ConflictError(detail, code="image.in_use")
