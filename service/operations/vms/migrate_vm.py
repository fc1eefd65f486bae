"""Migrate a running VM to another host, live. Only memory moves: disks are in Ceph.

Where the VM is afterwards is decided by checking both hosts, never by what the call returned: the same check serves a
success, a failure, and a worker that was killed in the middle.
"""

from __future__ import annotations

from service.context import Context
from service.db import allocations, queries
from service.db.engine.database import transaction
from service.db.tables import Host, Vm
from service.errors import ConflictError, UnavailableError
from service.hypervisor.contract import DomainState, Hypervisor, MigrationProgress
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.json_types import JsonObject
from service.operations import state_changes
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host import vnc_password
from service.operations.on_host.domain_spec import domain_spec, endpoint
from service.operations.placement.choose_host import claim_host
from service.operations.rows import vm_rows


def request(ctx: Context, actor: Actor, ref: str, target_ref: str | None) -> str:
    """Choose (or check the named) target, claim it and enqueue; return the job's id."""
    with transaction(ctx.db):
        vm = vm_rows.awake(ref, actor.scope)
        only = queries.referenced(Host, target_ref, "host", actor.scope) if target_ref is not None else None
        source = queries.host_of(vm)
        if only is not None and only.id == source.id:
            raise ConflictError(f"VM '{vm.name}' runs on {only.name} already.", code="vm.same_host")
        target = claim_host(ctx, vm, excluded=source, only=only)
        return accept(
            ctx,
            actor,
            OPERATION,
            vm,
            args={"source_id": source.id, "target_id": target.id},
            undo=[("settle", vm.id, source.id, target.id)],
            source=source.name,
            target=target.name,
        )


def run(ctx: Context, job: Job) -> None:
    """Migrate the memory, then record the VM's host."""
    source, target = (queries.by_id(Host, job.args[key]) for key in ("source_id", "target_id"))
    vm = queries.by_id(Vm, job.object_id)
    report = job.step("move", _move, ctx, job, vm, source, target)
    job.finish_with({"source": source.name, "target": target.name, **report})


def settle(ctx: Context, vm_id: str, source_id: str, target_id: str) -> None:
    """Cancel a migration under way, check where the VM runs, and record it.

    Raises UnavailableError, to be retried, while a host is unreachable or both still have the domain.
    """
    source, target = (ctx.hypervisors.on(endpoint(queries.by_id(Host, host_id))) for host_id in (source_id, target_id))
    source.cancel_migration(vm_id)
    on_source = source.domain(vm_id)
    on_target = _look_at_target(target, on_source, vm_id)
    if on_source is not None and on_target is not None:
        raise UnavailableError(f"VM {vm_id} is on both hosts of an unfinished migration.", code="migration.unsettled")
    if on_source is None and on_target is not None and on_target.state == "paused":
        _resume_on_target(ctx, vm_id, source_id, target_id)
        on_target = target.domain(vm_id)
    with transaction(ctx.db):
        if on_source is None and on_target is None:
            vm_rows.take_off(ctx, vm_id)
        elif on_target is not None:
            _record(ctx, vm_id, target_id, on_target.state)
        elif on_source is not None:
            _record(ctx, vm_id, source_id, on_source.state)


OPERATION = Operation(kind="migrate_vm", run=run, steps_version=2, undo={"settle": settle})


def _look_at_target(target: Hypervisor, on_source: DomainState | None, vm_id: str) -> DomainState | None:
    """Return the domain on the target.

    If the guest runs on its source, an unreachable target counts as empty: a domain left there arrived paused and never
    ran. Otherwise raises UnavailableError.
    """
    try:
        return target.domain(vm_id)
    except UnavailableError:
        if on_source is not None and on_source.state == "running":
            return None
        raise


def _resume_on_target(ctx: Context, vm_id: str, source_id: str, target_id: str) -> None:
    """Resume a guest that arrived paused and whose worker was killed: by migrate()."""
    source, target = queries.by_id(Host, source_id), queries.by_id(Host, target_id)
    spec = domain_spec(ctx, queries.by_id(Vm, vm_id), target, "")
    ctx.hypervisors.on(endpoint(source)).migrate(endpoint(target), spec, progress=lambda _: None)


def _move(ctx: Context, job: Job, vm: Vm, source: Host, target: Host) -> JsonObject:
    """Migrate and record.

    One step, so that a cancel takes effect before the guest has moved or not at all.
    """

    def show(progress: MigrationProgress) -> None:
        if progress.phase == "copying":
            job.check_cancelled()
        done = 1.0 - progress.remaining_bytes / progress.total_bytes if progress.total_bytes else 0.0
        job.progress(min(done, 0.99), f"{progress.phase}, {progress.remaining_bytes >> 20} MiB to go")

    spec = domain_spec(ctx, vm, target, job.id)
    report = ctx.hypervisors.on(endpoint(source)).migrate(endpoint(target), spec, progress=show)
    with job.transaction():
        _record(ctx, vm.id, target.id, "running")
    vnc_password.set_again(ctx, vm.id)
    return {
        "total_ms": report.total_ms,
        "downtime_ms": report.downtime_ms,
        "transferred_bytes": report.transferred_bytes,
    }


def _record(ctx: Context, vm_id: str, host_id: str, state: str) -> None:
    state_changes.change_vm(ctx, vm_id, host=host_id, observed_state=state, observed_at=ctx.clock.now())
    allocations.release_elsewhere(vm_id, host_id)
