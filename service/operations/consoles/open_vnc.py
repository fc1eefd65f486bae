"""Set a short-lived password of a VM's VNC console, which is locked without one.

The password is not stored: the API, which shows it, and the worker, which sets it, both derive it from the control
plane's key and the VM's row. If the VM starts or migrates meanwhile, it is set again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.hypervisor.errors import DomainNotFoundError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.json_types import JsonObject
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint
from service.operations.on_host.vnc_password import password, set_password
from service.operations.rows import vm_rows


@dataclass(frozen=True, slots=True)
class Opened:
    """The password, shown once, its expiry, and the job that sets it."""

    job_id: str
    password: str
    expires_at: datetime


def request(ctx: Context, actor: Actor, ref: str, *, life_s: int) -> Opened:
    """Create a new password that replaces the previous one.

    Raises ConflictError (`vm.not_running`, `vm.busy`).
    """
    with transaction(ctx.db):
        vm = vm_rows.running(ref, actor.scope)
        vm.vnc_nonce, vm.vnc_expires_at = ctx.ids.uuid(), ctx.clock.now() + timedelta(seconds=life_s)
        vm.save(only=(Vm.vnc_nonce, Vm.vnc_expires_at))
        job_id = accept(ctx, actor, OPERATION, vm, undo=[("close", vm.id, vm.vnc_nonce)], life_s=life_s)
        return Opened(job_id, password(ctx, vm), vm.vnc_expires_at)


def run(ctx: Context, job: Job) -> None:
    """Set the password on the host; the result has the address VNC listens on."""
    vm = queries.by_id(Vm, job.object_id)
    job.finish_with(job.step("open", _open, ctx, vm))


def close(ctx: Context, vm_id: str, nonce: str) -> None:
    """Undo a password that was not set: lock the console unless a newer one is valid."""
    with transaction(ctx.db):
        mine = (Vm.id == vm_id) & (Vm.vnc_nonce == nonce)
        Vm.update(vnc_nonce=None, vnc_expires_at=None).where(mine).execute()
    vm = queries.find_by_id(Vm, vm_id)
    if vm is not None and vm.vnc_nonce is None and vm.host is not None:
        with suppress(DomainNotFoundError):
            ctx.hypervisors.on(endpoint(vm.host)).set_vnc_password(vm.id, None)


OPERATION = Operation(kind="open_vnc", run=run, steps_version=1, undo={"close": close})


def _open(ctx: Context, vm: Vm) -> JsonObject | None:
    set_password(ctx, vm)
    seen = ctx.hypervisors.on(endpoint(queries.host_of(vm))).display(vm.id)
    return {"address": seen.address, "port": seen.port} if seen is not None else None
