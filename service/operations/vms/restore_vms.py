"""Start VMs that should run and were lost, after a power cut for example.

Only VMs whose own host has answered without them are started; an unreachable host keeps its VMs.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction, unit_of_work
from service.db.tables import Vm
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.job_tables import Job as JobRow
from service.jobs.operation import Operation
from service.operations.actor import SERVICE
from service.operations.busy import busy_ids
from service.operations.vms import start_vm

log = structlog.get_logger(__name__)

ON = ("running", "paused")
RETRY_AFTER = timedelta(seconds=60)


def run(ctx: Context, job: Job) -> None:
    """Enqueue a start job per lost VM; one without a host is retried next round."""
    del job
    with unit_of_work(ctx.db):
        lost = list(Vm.select().where(Vm.desired_state.in_(ON) & Vm.host.is_null() & Vm.managed).order_by(Vm.name))
        busy = busy_ids()
    for vm in lost:
        if vm.id not in busy and not _failed_lately(ctx, vm.id):
            _restore(ctx, vm)


OPERATION = Operation(kind="restore_vms", run=run, steps_version=1)


def _restore(ctx: Context, vm: Vm) -> None:
    try:
        with transaction(ctx.db):
            now = queries.find_by_id(Vm, vm.id)
            if now is not None and now.desired_state in ON:  # not stopped by a user since
                start_vm.request(ctx, SERVICE, vm.id, paused=now.desired_state == "paused")
    except ConflictError as error:
        log.warning("restore.not_now", vm=vm.name, code=error.code, reasons=error.reasons)


def _failed_lately(ctx: Context, vm_id: str) -> bool:
    since = ctx.clock.now() - RETRY_AFTER
    failed = (JobRow.object_id == vm_id) & (JobRow.kind == "start_vm") & (JobRow.state == "failed")
    return bool(JobRow.select().where(failed & (JobRow.finished_at > since)).exists())
