"""Make a data volume that is on no VM yet."""

from __future__ import annotations

from service.context import Context
from service.db import queries, quotas
from service.db.engine.database import transaction
from service.db.tables import Volume
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.disks.attach_disk import forget_volume
from service.operations.rows import volume_rows
from service.operations.rows.new_vm import NewDisk


def request(ctx: Context, actor: Actor, name: str, new: NewDisk) -> str:
    """Count it for the project and enqueue; returns the job's id."""
    with transaction(ctx.db):
        volume = volume_rows.add_data(ctx, actor.scope.home(), new, actor.scope, name=name)
        quotas.claim(volume.project_id, volume_rows.charge(volume))
        return accept(ctx, actor, OPERATION, volume, undo=[("forget_volume", volume.id)])


def run(ctx: Context, job: Job) -> None:
    """Clone it, or make it blank."""
    volume = queries.by_id(Volume, job.object_id)
    with job.undo() as undo_stack:
        undo_stack.push("remove_volume", volume.pool, volume.storage_name)
        job.step("make", volume_rows.make, ctx, volume, job.id)
        job.write("record", _record, volume.id)
    job.finish_with({"volume_id": volume.id, "volume": volume.name})


OPERATION = Operation(
    kind="create_volume",
    run=run,
    steps_version=1,
    undo={"remove_volume": undo.remove_volume, "forget_volume": forget_volume},
)


def _record(volume_id: str) -> None:
    Volume.update(state="ready").where(Volume.id == volume_id).execute()
