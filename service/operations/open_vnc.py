"""A password for a VM's VNC console, with a short life: without one the console is locked.

The password is nowhere written down: it is derived from the control plane's key and from what the VM's row says, by
the API that tells it and by the worker that sets it. A VM that starts or moves meanwhile has it set again.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.errors import UnavailableError
from service.hypervisor.errors import DomainNotFoundError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import vm_rows
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.domain_spec import endpoint
from service.operations.secret_key import derive

log = structlog.get_logger(__name__)

PASSWORD_LENGTH = 8  # VNC's own limit


@dataclass(frozen=True, slots=True)
class Opened:
    """What is told once: the password, until when it holds, and the job that sets it."""

    job_id: str
    password: str
    expires_at: datetime


def request(ctx: Context, actor: Actor, ref: str, *, life_s: int) -> Opened:
    """A new password; the one before ends. Raises ConflictError (`vm.not_running`, `vm.busy`)."""
    with transaction(ctx.db):
        vm = vm_rows.running(ref, actor.scope)
        vm.vnc_nonce, vm.vnc_expires_at = ctx.ids.uuid(), ctx.clock.now() + timedelta(seconds=life_s)
        vm.save(only=(Vm.vnc_nonce, Vm.vnc_expires_at))
        job_id = accept(ctx, actor, OPERATION, vm, undo=[("close", vm.id, vm.vnc_nonce)], life_s=life_s)
        return Opened(job_id, password(ctx, vm), vm.vnc_expires_at)


def run(ctx: Context, job: Job) -> None:
    """Set it on the host; the result tells where VNC listens."""
    vm = queries.by_id(Vm, job.object_id)
    job.finish_with(job.step("open", _open, ctx, vm))


def password(ctx: Context, vm: Vm) -> str:
    """The VM's password of now."""
    secret = derive(ctx.settings.secret_key_path, "vnc", vm.id, str(vm.vnc_nonce), str(vm.vnc_expires_at))
    return base64.b32encode(secret).decode().lower()[:PASSWORD_LENGTH]


def set_again(ctx: Context, vm_id: str) -> None:
    """After a start or a move, which lock the console: what was opened and has not expired is open again.

    A start or a move is none the worse for a host that does not answer to this: a new password is there for the asking.
    """
    vm = queries.by_id(Vm, vm_id)
    if vm.host is None or vm.vnc_expires_at is None or vm.vnc_expires_at <= ctx.clock.now():
        return
    try:
        _set(ctx, vm)
    except (DomainNotFoundError, UnavailableError) as error:
        log.warning("vnc.not_set_again", vm=vm.name, reason=error.detail)


def close(ctx: Context, vm_id: str, nonce: str) -> None:
    """That password was not set after all; the console is locked, unless a newer one has opened it."""
    with transaction(ctx.db):
        mine = (Vm.id == vm_id) & (Vm.vnc_nonce == nonce)
        Vm.update(vnc_nonce=None, vnc_expires_at=None).where(mine).execute()
    vm = queries.find_by_id(Vm, vm_id)
    if vm is not None and vm.vnc_nonce is None and vm.host is not None:
        with suppress(DomainNotFoundError):
            ctx.hypervisors.on(endpoint(vm.host)).set_vnc_password(vm.id, None)


OPERATION = Operation(kind="open_vnc", run=run, steps_version=1, undo={"close": close})


def _open(ctx: Context, vm: Vm) -> dict[str, Any] | None:
    _set(ctx, vm)
    seen = ctx.hypervisors.on(endpoint(queries.host_of(vm))).display(vm.id)
    return {"address": seen.address, "port": seen.port} if seen is not None else None


def _set(ctx: Context, vm: Vm) -> None:
    on = ctx.hypervisors.on(endpoint(queries.host_of(vm)))
    on.set_vnc_password(vm.id, password(ctx, vm), expires_at=vm.vnc_expires_at)
