"""Reconciliation after a restore: VMs are recorded where hosts report them.

Jobs that were under way are ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.context import Context
from service.db import allocations, queries
from service.db.engine import dump
from service.db.engine.database import transaction, unit_of_work
from service.db.scope import EVERYTHING
from service.db.tables import Host, Vm
from service.errors import ConflictError
from service.hypervisor.contract import DomainState
from service.jobs import queue
from service.operations.observe.observation import Sight
from service.operations.observe.poll_hosts import look_at
from service.operations.rows import vm_rows
from service.operations.rows.sizes import memory_on_host
from service.operations.state_changes import change_vm

DETAIL = "the job was unfinished when the restored backup was made: check its object, then send the request again"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """Result of the reconciliation.

    `moved` are names of VMs found on another host than in the backup; `stopped` of those that ran in the backup and are
    on no host; `ended_jobs` are kinds and ids; `unknown` are Nacre's domains that are not in the backup; `silent` are
    names of unreachable hosts.
    """

    moved: tuple[str, ...]
    stopped: tuple[str, ...]
    ended_jobs: tuple[str, ...]
    unknown: tuple[str, ...]
    silent: tuple[str, ...]


def reconcile(ctx: Context, *, unreachable_hosts_are_off: bool) -> Reconciled:
    """Observe every host, record the VMs, end unfinished jobs, unblock the service.

    Raises ConflictError (`restore.host_unreachable`, unless unreachable hosts are known to be off; `restore.vm_twice`).
    """
    with unit_of_work(ctx.db):
        hosts = queries.everything(Host, EVERYTHING)
        sights = dict(one for some in look_at(ctx, hosts) for one in some)
    silent = tuple(host.name for host in hosts if not _answered(sights.get(host.id)))
    if silent and not unreachable_hosts_are_off:
        detail = f"{', '.join(silent)} unreachable: a VM that runs there would be started twice. Bring them up and "
        raise ConflictError(
            detail + "restore again, or, if they are off, add --unreachable-hosts-are-off.",
            code="restore.host_unreachable",
        )
    seen = _where(hosts, sights)
    with transaction(ctx.db):
        ended = queue.end_all(ctx, "job.restored", DETAIL)
        busy = {job.object_id for job in ended}
        vms = list(Vm.select().order_by(Vm.name))
        moved = tuple(vm.name for vm in vms if vm.id in seen and _found(ctx, vm, *seen[vm.id]))
        stopped = tuple(vm.name for vm in vms if vm.id not in seen and _missing(ctx, vm, busy=vm.id in busy))
        dump.finish(ctx.db)
    jobs = tuple(f"{job.kind} {job.id}" for job in ended if job.object_id)
    return Reconciled(moved, stopped, jobs, _unknown(seen, {vm.id for vm in vms}), silent)


def _unknown(seen: dict[str, tuple[Host, DomainState]], known: set[str]) -> tuple[str, ...]:
    """Return Nacre's domains that are not in the backup; foreign ones are ignored."""
    ours = ((vm_id, host) for vm_id, (host, domain) in seen.items() if domain.epoch is not None)
    return tuple(f"{vm_id} on {host.name}" for vm_id, host in ours if vm_id not in known)


def _answered(sight: Sight | None) -> bool:
    return sight is not None and sight.answer is not None


def _where(hosts: Iterable[Host], sights: dict[str, Sight]) -> dict[str, tuple[Host, DomainState]]:
    found: dict[str, tuple[Host, DomainState]] = {}
    for host in hosts:
        sight = sights.get(host.id)
        for domain in sight.answer.domains if sight and sight.answer else ():
            if domain.vm_id in found:
                detail = f"VM {domain.vm_id} is on {found[domain.vm_id][0].name} and on {host.name}: end one of them."
                raise ConflictError(detail, code="restore.vm_twice")
            found[domain.vm_id] = (host, domain)
    return found


def _found(ctx: Context, vm: Vm, host: Host, domain: DomainState) -> bool:
    """Record a VM on the host that runs it; return True if it has moved."""
    moved = bool(vm.host is None or vm.host.id != host.id)
    allocations.release(vm.id)
    allocations.hold(
        allocation_id=ctx.ids.uuid(),
        vm=vm,
        host_id=host.id,
        vcpus=vm.vcpus,
        memory_mib=memory_on_host(ctx, vm.memory_mib),
        now=ctx.clock.now(),
    )
    wanted = vm.desired_state if vm.desired_state == "paused" else "running"
    change_vm(ctx, vm.id, host=host, observed_state=domain.state, desired_state=wanted, observed_at=ctx.clock.now())
    return moved


def _missing(ctx: Context, vm: Vm, *, busy: bool) -> bool:
    """Record a VM that runs on no host; return True if it ran in the backup.

    One with an unfinished job is not started automatically: the state of its disks is unknown.
    """
    was_running = vm.host is not None
    if was_running:
        vm_rows.take_off(ctx, vm.id)
    if busy and vm.observed_state != "deleting":
        change_vm(ctx, vm.id, desired_state="stopped", observed_state="stopped")
    return was_running
