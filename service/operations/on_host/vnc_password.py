"""The password of a VM's VNC console: derived from the control plane's key and the VM's row, set on its host."""

from __future__ import annotations

import base64

import structlog

from service.context import Context
from service.db import queries
from service.db.tables import Vm
from service.errors import UnavailableError
from service.hypervisor.errors import DomainNotFoundError
from service.operations.on_host.domain_spec import endpoint
from service.operations.secret_key import derive

log = structlog.get_logger(__name__)


PASSWORD_LENGTH = 8  # VNC's own limit


def password(ctx: Context, vm: Vm) -> str:
    """The VM's password of now."""
    secret = derive(ctx.settings.secret_key_path, "vnc", vm.id, str(vm.vnc_nonce), str(vm.vnc_expires_at))
    return base64.b32encode(secret).decode().lower()[:PASSWORD_LENGTH]


def set_again(ctx: Context, vm_id: str) -> None:
    """After a start or a move, which lock the console: what was opened and has not expired is open again.

    A start or a move is none the worse for an unreachable host: a new password is there for the asking.
    """
    vm = queries.by_id(Vm, vm_id)
    if vm.host is None or vm.vnc_expires_at is None or vm.vnc_expires_at <= ctx.clock.now():
        return
    try:
        set_password(ctx, vm)
    except (DomainNotFoundError, UnavailableError) as error:
        log.warning("vnc.not_set_again", vm=vm.name, reason=error.detail)


def set_password(ctx: Context, vm: Vm) -> None:
    """Set the password of now on the VM's host, with its expiry."""
    on = ctx.hypervisors.on(endpoint(queries.host_of(vm)))
    on.set_vnc_password(vm.id, password(ctx, vm), expires_at=vm.vnc_expires_at)
