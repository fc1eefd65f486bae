"""Record a hypervisor's event of a VM at once, between two observations."""

from __future__ import annotations

import structlog

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction, unit_of_work
from service.db.engine.errors import DatabaseUnavailableError
from service.db.tables import Vm
from service.errors import UnavailableError
from service.hypervisor.contract import DomainEvent
from service.operations.busy import busy_ids
from service.operations.on_host.domain_spec import endpoint
from service.operations.rows import vm_rows
from service.operations.vms.shut_down_vm import record_stopped

log = structlog.get_logger(__name__)

ENDED = ("stopped", "crashed")
STATE_AFTER = {"started": "running", "resumed": "running", "suspended": "paused", "io_error": "io_error"}


def record(ctx: Context, event: DomainEvent) -> None:
    """Record an event, unless a job is at work on the VM or the VM has left the host.

    A guest that powered itself off stays off; one that crashed is started again by the next round. An event may be late
    and report the end of a domain that was started again since, so an end is recorded only after checking the host.
    """
    try:
        _record(ctx, event)
    except DatabaseUnavailableError as error:  # the next round observes it, too
        log.warning("event.not_written", vm_id=event.vm_id, kind=event.kind, reason=error.detail)


def _record(ctx: Context, event: DomainEvent) -> None:
    with unit_of_work(ctx.db):
        vm = _concerned(event)
        if vm is None or (event.kind in ENDED and not _has_ended(ctx, vm)):
            return
        with transaction(ctx.db):
            now = _concerned(event)
            if now is not None and now.epoch == vm.epoch:
                _update(ctx, now.id, event.kind)


def _concerned(event: DomainEvent) -> Vm | None:
    vm = queries.find_by_id(Vm, event.vm_id)
    if vm is None or vm.host is None or vm.host.name != event.host or vm.id in busy_ids():
        return None
    return vm


def _has_ended(ctx: Context, vm: Vm) -> bool:
    try:
        return ctx.hypervisors.on(endpoint(queries.host_of(vm))).domain(vm.id) is None
    except UnavailableError as error:  # the next round checks again
        log.warning("event.not_confirmed", vm=vm.name, reason=error.detail)
        return False


def _update(ctx: Context, vm_id: str, kind: str) -> None:
    if kind == "stopped":
        record_stopped(ctx, vm_id)
    elif kind == "crashed":
        vm_rows.take_off(ctx, vm_id)
    elif kind in STATE_AFTER:
        vm_rows.observe(ctx, vm_id, STATE_AFTER[kind])
