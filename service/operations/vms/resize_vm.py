"""Change a VM's flavor: at once if off or by hot-plug, otherwise at the next start.

The host's allocation and the project's quota change in the same transaction as the VM. After an interrupted resize the
guest itself is checked for its size.
"""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Flavor, Host, Vm
from service.hypervisor.errors import DomainNotFoundError, HotAddRefusedError
from service.hypervisor.spec import MEMORY_STEP_MIB
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.json_types import JsonObject
from service.operations import audit
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.on_host.domain_spec import endpoint
from service.operations.placement.choose_host import host_facts
from service.operations.rows import vm_rows
from service.operations.rows.sizes import Sizes, put, sizes_of


def request(ctx: Context, actor: Actor, ref: str, flavor_ref: str) -> str:
    """Decide when, claim and enqueue; return the job's id.

    Raises ConflictError (`quota.exceeded`).
    """
    with transaction(ctx.db):
        vm = vm_rows.changeable(ref, actor.scope)
        flavor = queries.referenced(Flavor, flavor_ref, "flavor", actor.scope)
        before, wanted, flavor_before = sizes_of(vm), Sizes.of_flavor(flavor), vm.flavor_id
        defined = audit.definition(vm)
        reasons = reasons_to_wait(ctx, vm, flavor)
        after = _after(before, wanted, is_on=vm.host is not None, reasons=reasons)
        put(ctx, vm, after, flavor_id=flavor.id)
        vm_rows.changed(vm.id)
        live = vm.host is not None and not reasons
        args = {"live": live, "reasons": reasons, "wanted": wanted.as_dict()}
        undo = [("size_back", vm.id, flavor_before, before.as_dict(), before.pending)]
        return accept(ctx, actor, OPERATION, vm, args=args, undo=undo, before=defined, flavor=flavor.name)


def run(ctx: Context, job: Job) -> None:
    """Hot-plug what can be; what the guest refuses is postponed to the next start."""
    vm, reasons = queries.by_id(Vm, job.object_id), list(job.args["reasons"])
    if job.args["live"] and vm.host is not None:
        refusal = job.step("add", _add, ctx, vm)
        if refusal is not None:
            reasons.append(refusal)
            seen = job.step("look", _look, ctx, vm.id, vm.host.id)
            job.write("postpone", _postpone, ctx, vm.id, seen, job.args["wanted"])
    vm = queries.by_id(Vm, job.object_id)
    job.finish_with({"flavor": vm.flavor.name, "pending": vm.pending, "reasons": reasons if vm.pending else []})


def size_back(ctx: Context, vm_id: str, flavor_id: str, before: dict[str, int], pending: dict[str, int] | None) -> None:
    """Undo: restore the old flavor. A running guest keeps its size until it stops."""
    vm = queries.by_id(Vm, vm_id)
    seen = _look(ctx, vm.id, vm.host.id) if vm.host is not None else None
    old = Sizes(**before, pending=pending)
    with transaction(ctx.db):
        if queries.find_by_id(Flavor, flavor_id) is None:  # no VM had it any more, so it may have been deleted
            flavor_id = vm.flavor_id
        back = old if seen is None else old.now_at(**seen).waiting_for(old.at_next_start())
        put(ctx, vm, back, flavor_id=flavor_id)


OPERATION = Operation(kind="resize_vm", run=run, steps_version=1, undo={"size_back": size_back})


def reasons_to_wait(ctx: Context, vm: Vm, flavor: Flavor) -> list[str]:
    """Return why a running VM cannot have the flavor's size now; none if it is off."""
    if vm.host is None:
        return []
    wanted = Sizes.of_flavor(flavor)
    more_vcpus, more_mib = wanted.vcpus - vm.vcpus, wanted.memory_mib - vm.memory_mib
    host = host_facts(ctx, [vm.host])[0]
    return [
        reason
        for applies, reason in (
            (more_vcpus < 0 or more_mib < 0, "a running guest cannot be made smaller"),
            (wanted.vcpus > vm.max_vcpus, f"it was started with at most {vm.max_vcpus} vCPUs"),
            (wanted.memory_mib > vm.max_memory_mib, f"it was started with at most {vm.max_memory_mib} MiB"),
            (more_mib % MEMORY_STEP_MIB != 0, f"memory is added in steps of {MEMORY_STEP_MIB} MiB"),
            (more_vcpus > max(host.free_vcpus, 0), f"host {host.name} has {host.free_vcpus} vCPUs free"),
            (more_mib > max(host.free_memory_mib, 0), f"host {host.name} has {host.free_memory_mib} MiB free"),
        )
        if applies
    ]


def _after(before: Sizes, wanted: Sizes, *, is_on: bool, reasons: list[str]) -> Sizes:
    """Return the sizes after the request.

    A VM that is off has its new size; a running one keeps its maxima, and its whole size if there are reasons to wait.
    """
    if not is_on:
        return wanted
    now = before if reasons else before.now_at(wanted.vcpus, wanted.memory_mib)
    return now.waiting_for(wanted)


def _add(ctx: Context, vm: Vm) -> str | None:
    """Hot-plug memory (refused more often), then vCPUs; return the refusal or None."""
    on = ctx.hypervisors.on(endpoint(queries.host_of(vm)))
    try:
        on.set_memory(vm.id, vm.memory_mib)
        on.set_vcpus(vm.id, vm.vcpus)
    except HotAddRefusedError as refused:
        return refused.detail
    except DomainNotFoundError:  # it powered itself off: its next start has the new size
        return None
    return None


def _look(ctx: Context, vm_id: str, host_id: str) -> dict[str, int] | None:
    seen = ctx.hypervisors.on(endpoint(queries.by_id(Host, host_id))).domain(vm_id)
    return {"vcpus": seen.vcpus, "memory_mib": seen.memory_mib} if seen is not None else None


def _postpone(ctx: Context, vm_id: str, seen: dict[str, int] | None, wanted: JsonObject) -> None:
    vm = queries.by_id(Vm, vm_id)
    if seen is not None:
        put(ctx, vm, sizes_of(vm).now_at(**seen).waiting_for(Sizes(**wanted)), flavor_id=vm.flavor_id)
