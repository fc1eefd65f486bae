"""Request the guest to power off, and wait until it has."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.errors import ConflictError
from service.hypervisor.contract import Hypervisor
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import state_changes
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint
from service.operations.rows import vm_rows

PATIENCE_S = 120.0
HEAR_CANCEL_EVERY_S = 5.0


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue the job and return its id."""
    with transaction(ctx.db):
        vm = vm_rows.awake(ref, actor.scope)
        return accept(ctx, actor, OPERATION, vm)


def run(ctx: Context, job: Job) -> None:
    """Send the power button event, wait for the end, release the host's capacity."""
    vm = queries.by_id(Vm, job.object_id)
    job.step("power_off", _power_off, ctx, job, vm)


OPERATION = Operation(kind="shut_down_vm", run=run, steps_version=2)


def record_stopped(ctx: Context, vm_id: str) -> None:
    """Record that the VM is off, as desired."""
    state_changes.change_vm(ctx, vm_id, desired_state="stopped")
    vm_rows.take_off(ctx, vm_id)


def _power_off(ctx: Context, job: Job, vm: Vm) -> None:
    if vm.host is not None:
        _end_domain(ctx, job, vm, ctx.hypervisors.on(endpoint(vm.host)))
    with job.transaction():
        record_stopped(ctx, vm.id)


def _end_domain(ctx: Context, job: Job, vm: Vm, hypervisor: Hypervisor) -> None:
    deadline = ctx.clock.monotonic() + PATIENCE_S
    hypervisor.shut_down(vm.id)
    while not hypervisor.wait_stopped(vm.id, timeout_s=HEAR_CANCEL_EVERY_S):
        job.check_cancelled()
        if ctx.clock.monotonic() >= deadline:
            raise ConflictError(
                f"VM '{vm.name}' did not power off within {PATIENCE_S:.0f} s: its system may ignore the power button. "
                f"'nacre vm force-off {vm.name}' ends it.",
                code="vm.shut_down_timed_out",
            )
