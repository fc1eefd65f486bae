"""Make a volume larger, on a VM that runs, on one that does not, or on none. Nothing is ever made smaller."""

from __future__ import annotations

from service.context import Context
from service.db import queries, quotas
from service.db.engine.database import transaction
from service.db.tables import Volume
from service.errors import ConflictError, FieldError, InvalidError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.busy import check_idle
from service.operations.on_host import hot_plug
from service.operations.rows import vm_rows, volume_rows


def request_on_vm(ctx: Context, actor: Actor, ref: str, disk: str, size_bytes: int) -> str:
    """Grow a VM's disk, its root too; returns the job's id. Raises InvalidError (`volume.shrink`), NotFoundError."""
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        return _grow(ctx, actor, volume_rows.disk_of(vm, disk), size_bytes)


def request(ctx: Context, actor: Actor, volume_ref: str, size_bytes: int) -> str:
    """Grow a data volume, wherever it is; returns the job's id."""
    with transaction(ctx.db):
        volume = volume_rows.existing(volume_ref, actor.scope)
        if volume.vm is not None:
            check_idle("vm", volume.vm.id, volume.vm.name)
        return _grow(ctx, actor, volume, size_bytes)


def run(ctx: Context, job: Job) -> None:
    """From the first step on it only rolls forward: what has grown is never cut."""
    job.point_of_no_return()
    volume = queries.by_id(Volume, job.args["volume_id"])
    job.step("grow", ctx.storage.grow_volume, volume_rows.ref(volume), size_bytes=volume.size_bytes)
    if volume.vm is not None and volume.vm.host is not None:
        job.step("show", hot_plug.show_size, ctx, volume.vm, volume)
    job.finish_with({"volume_id": volume.id, "size_bytes": volume.size_bytes})


def ungrow(ctx: Context, volume_id: str, size_bytes: int) -> None:
    """The volume was not made larger after all."""
    with transaction(ctx.db):
        volume = queries.by_id(Volume, volume_id)
        quotas.give_back(volume.project_id, _difference(volume, volume.size_bytes, size_bytes))
        Volume.update(size_bytes=size_bytes).where(Volume.id == volume_id).execute()


OPERATION = Operation(kind="grow_volume", run=run, steps_version=1, undo={"ungrow": ungrow})


def _grow(ctx: Context, actor: Actor, volume: Volume, size_bytes: int) -> str:
    before = volume.size_bytes
    if volume.role not in ("root", "data"):
        raise ConflictError(f"'{volume.target}' is the VM's seed, no disk of yours.", code="volume.is_seed")
    if volume.state != "ready":
        raise ConflictError(f"Volume '{volume.name}' is {volume.state}.", code="volume.not_ready")
    if size_bytes < before:
        text = f"The disk has {before} bytes: it can only be made larger, what is cut off would be lost."
        raise InvalidError(text, code="volume.shrink", errors=(FieldError("size_gib", text),))
    volume_rows.pool_for(ctx, volume.pool)
    quotas.claim(volume.project_id, _difference(volume, size_bytes, before))
    Volume.update(size_bytes=size_bytes).where(Volume.id == volume.id).execute()
    if volume.vm is not None:
        vm_rows.changed(volume.vm.id)
    return accept(
        ctx,
        actor,
        OPERATION,
        volume.vm or volume,
        args={"volume_id": volume.id},
        undo=[("ungrow", volume.id, before)],
        size_bytes=size_bytes,
    )


def _difference(volume: Volume, larger: int, smaller: int) -> quotas.Amounts:
    return {quotas.PER_POOL + volume.pool: quotas.gib(larger) - quotas.gib(smaller)}
