"""Delete a data volume that is on no VM, with all that is on it."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Volume
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.rows import volume_rows


def request(ctx: Context, actor: Actor, volume_ref: str) -> str:
    """Enqueue; returns the job's id. Raises ConflictError (`volume.attached`, `volume.busy`)."""
    with transaction(ctx.db):
        volume = volume_rows.existing(volume_ref, actor.scope)
        if volume.vm is not None:
            raise ConflictError(
                f"Volume '{volume.name}' is on VM '{volume.vm.name}': detach it first.", code="volume.attached"
            )
        Volume.update(state="deleting").where(Volume.id == volume.id).execute()
        return accept(ctx, actor, OPERATION, volume, undo=[("keep_volume", volume.id, volume.state)])


def run(ctx: Context, job: Job) -> None:
    """There is no way back: it only rolls forward."""
    job.point_of_no_return()
    volume = queries.find_by_id(Volume, job.object_id)
    if volume is None:  # a worker died between forgetting it and saying so
        return
    job.step("remove", undo.remove_volume, ctx, volume.pool, volume.storage_name)
    job.write("forget", volume_rows.forget, volume.id)


def keep_volume(ctx: Context, volume_id: str, state: str) -> None:
    """The volume is not deleted after all, unless a detachment was about to before."""
    with transaction(ctx.db):
        Volume.update(state=state).where(Volume.id == volume_id).execute()


OPERATION = Operation(kind="delete_volume", run=run, steps_version=1, undo={"keep_volume": keep_volume})
