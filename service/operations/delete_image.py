"""Delete an image that no VM is a clone of."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Image
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.busy import check_idle
from service.operations.import_image import forget_image, remove_image


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue; returns the job's id. Raises ConflictError (`image.in_use`, `image.busy`)."""
    with transaction(ctx.db):
        image = queries.get(Image, ref)
        check_idle("image", image.id, image.name)
        clones = queries.in_use(image)
        if clones:
            raise ConflictError(f"{clones} VMs are clones of image '{image.name}'.", code="image.in_use")
        Image.update(state="deleting").where(Image.id == image.id).execute()
        return accept(ctx, actor, OPERATION, image, undo=[("keep_image", image.id, image.state)])


def run(ctx: Context, job: Job) -> None:
    """Remove the bytes, then the row."""
    job.point_of_no_return()
    image = queries.find(Image, job.object_id)
    if image is None:  # a worker died between forgetting it and saying so
        return
    job.step("remove", remove_image, ctx, image.pool, image.rbd_name)
    job.write("forget", forget_image, ctx, image.id)


def keep_image(ctx: Context, image_id: str, state: str) -> None:
    """The image is not deleted after all."""
    with transaction(ctx.db):
        Image.update(state=state).where(Image.id == image_id).execute()


OPERATION = Operation(kind="delete_image", run=run, steps_version=1, undo={"keep_image": keep_image})
