"""Take a screenshot of a running VM, stored for a while to be fetched."""

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
    """Enqueue the job and return its id."""
    with transaction(ctx.db):
        vm = vm_rows.running(ref, actor.scope)
        return accept(ctx, actor, OPERATION, vm)


def run(ctx: Context, job: Job) -> None:
    """Take the screenshot; it replaces the VM's previous one."""
    vm = queries.by_id(Vm, job.object_id)
    job.step("take", _take, ctx, job, vm)


OPERATION = Operation(kind="take_screenshot", run=run, steps_version=1)


def newest(ctx: Context, vm: Vm) -> bytes:
    """Return the last PNG.

    Raises NotFoundError (`screenshot.not_found`) when there is none or it is too old.
    """
    row: Screenshot | None = Screenshot.get_or_none(Screenshot.vm == vm.id)
    if row is None or row.taken_at < ctx.clock.now() - KEEP:
        detail = f"There is no recent screenshot of VM '{vm.name}': take one by POST to the same path."
        raise NotFoundError(detail, code="screenshot.not_found")
    return bytes(row.png)


def _take(ctx: Context, job: Job, vm: Vm) -> None:
    png, now = ctx.hypervisors.on(endpoint(queries.host_of(vm))).screenshot(vm.id), ctx.clock.now()
    with job.transaction():
        Screenshot.delete().where((Screenshot.taken_at < now - KEEP) | (Screenshot.vm == vm.id)).execute()
        Screenshot.insert(vm=vm, taken_at=now, png=png).execute()
