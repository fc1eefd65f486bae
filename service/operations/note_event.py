"""Write down at once what a hypervisor tells of a VM, between two rounds of looking."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Vm
from service.hypervisor.contract import DomainEvent
from service.operations import vm_rows
from service.operations.busy import busy_ids
from service.operations.shut_down_vm import record_stopped

STATE_AFTER = {"started": "running", "resumed": "running", "suspended": "paused", "io_error": "io_error"}


def note(ctx: Context, event: DomainEvent) -> None:
    """Ignored: what a job at work on the VM causes, and what comes from a host that the VM has left.

    A guest that powered itself off shall stay off; one that crashed is started again by the next round.
    """
    with transaction(ctx.db):
        vm = queries.find(Vm, event.vm_id)
        if vm is None or vm.host is None or vm.host.name != event.host or vm.id in busy_ids():
            return
        if event.kind == "stopped":
            record_stopped(ctx, vm.id)
        elif event.kind == "crashed":
            vm_rows.take_off(ctx, vm.id)
        elif event.kind in STATE_AFTER:
            vm_rows.observe(ctx, vm.id, STATE_AFTER[event.kind])
