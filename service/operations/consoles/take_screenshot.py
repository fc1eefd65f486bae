"""A picture of a running VM's screen, kept for a while to be fetched."""

from __future__ import annotations

from datetime import timedelta

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Screenshot, Vm
from service.errors import NotFoundError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint
from service.operations.rows import vm_rows

KEEP = timedelta(minutes=10)


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue; returns the job's id."""
    with transaction(ctx.db):
        vm = vm_rows.running(ref, actor.scope)
        return accept(ctx, actor, OPERATION, vm)


def run(ctx: Context, job: Job) -> None:
    """One picture per VM: the last."""
    vm = queries.by_id(Vm, job.object_id)
    job.step("take", _take, ctx, job, vm)


OPERATION = Operation(kind="take_screenshot", run=run, steps_version=1)


def newest(ctx: Context, vm: Vm) -> bytes:
    """The PNG that was taken last. Raises NotFoundError (`screenshot.not_found`) when there is none, or an old one."""
    row: Screenshot | None = Screenshot.get_or_none(Screenshot.vm == vm.id)
    if row is None or row.taken_at < ctx.clock.now() - KEEP:
        told = f"There is no fresh picture of VM '{vm.name}': take one by POST to the same path."
        raise NotFoundError(told, code="screenshot.not_found")
    return bytes(row.png)


def _take(ctx: Context, job: Job, vm: Vm) -> None:
    png, now = ctx.hypervisors.on(endpoint(queries.host_of(vm))).screenshot(vm.id), ctx.clock.now()
    with job.transaction():
        Screenshot.delete().where((Screenshot.taken_at < now - KEEP) | (Screenshot.vm == vm.id)).execute()
        Screenshot.insert(vm=vm, taken_at=now, png=png).execute()
