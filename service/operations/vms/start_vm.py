"""Start a stopped VM on the host that fits best now."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Vm
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import audit, undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host import vnc_password
from service.operations.on_host.domain_spec import domain_spec, endpoint
from service.operations.placement.choose_host import claim_host
from service.operations.rows import vm_rows
from service.operations.rows.sizes import put, sizes_of


def request(ctx: Context, actor: Actor, ref: str, *, paused: bool = False) -> str:
    """Place, claim and enqueue in one transaction; return the job's id.

    Each start has a new epoch. Changes postponed to the next start (another size) take effect. A `paused` VM waits to
    be resumed.
    """
    with transaction(ctx.db):
        vm = vm_rows.existing(ref, actor.scope)
        if vm.host is not None:
            raise ConflictError(f"VM '{vm.name}' is {vm.observed_state} already.", code="vm.already_running")
        if vm.observed_state == "deleting":
            raise ConflictError(f"The deletion of VM '{vm.name}' has begun: delete it again.", code="vm.deleting")
        before = audit.definition(vm)
        put(ctx, vm, sizes_of(vm).at_next_start(), flavor_id=vm.flavor_id)
        host = claim_host(ctx, vm)
        wanted_before, vm.desired_state = vm.desired_state, "paused" if paused else "running"
        vm.epoch += 1
        vm_rows.put_on(vm, host)
        return accept(
            ctx, actor, OPERATION, vm, undo=[("take_off", vm.id, wanted_before)], before=before, host=host.name
        )


def run(ctx: Context, job: Job) -> None:
    """Create the domain."""
    vm = queries.by_id(Vm, job.object_id)
    with job.undo() as undo_stack:
        undo_stack.before_next_step("force_off", vm.id, queries.host_of(vm).id)
        job.step("start", _start, ctx, vm, job.id)
        job.write_last("record", vm_rows.observe, ctx, vm.id, vm.desired_state)


OPERATION = Operation(
    kind="start_vm", run=run, steps_version=1, undo={"force_off": undo.force_off, "take_off": undo.take_off}
)


def start_domain(ctx: Context, vm: Vm, job_id: str) -> None:
    """Create the VM's domain on its host."""
    host = queries.host_of(vm)
    paused = vm.desired_state == "paused"
    ctx.hypervisors.on(endpoint(host)).start(domain_spec(ctx, vm, host, job_id), paused=paused)


def _start(ctx: Context, vm: Vm, job_id: str) -> None:
    start_domain(ctx, vm, job_id)
    vnc_password.set_again(ctx, vm.id)
