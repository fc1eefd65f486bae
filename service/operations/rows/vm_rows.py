"""What the operations on VMs do to a VM's rows: each inside the caller's transaction."""

from __future__ import annotations

from typing import cast

from service.context import Context
from service.db import allocations, queries, quotas
from service.db.engine.prepared import write_back
from service.db.scope import Scope
from service.db.tables import Drive, Nic, Screenshot, Vm, Volume
from service.errors import ConflictError
from service.hypervisor.spec import Chipset, machine_of
from service.operations import state_changes
from service.operations.busy import check_idle, waits_for_guest
from service.placer.chosen_host import ChosenHost


def existing(ref: str, scope: Scope) -> Vm:
    """The VM, with no unfinished job on it. Raises NotFoundError, ConflictError (`vm.busy`, `vm.read_only`)."""
    vm = _ours(ref, scope)
    check_idle("vm", vm.id, vm.name)
    return vm


def to_end(ref: str, scope: Scope) -> Vm:
    """As existing(); also while a job waits for the guest to let go of a disk: with the guest's end it goes on."""
    vm = _ours(ref, scope)
    if not waits_for_guest(vm.id):
        check_idle("vm", vm.id, vm.name)
    return vm


def _ours(ref: str, scope: Scope) -> Vm:
    vm = queries.get(Vm, ref, scope)
    if not vm.managed:
        detail = f"VM '{vm.name}' is adopted and read-only until confirmed: run 'nacre vm adopt {vm.name} --confirm'."
        raise ConflictError(detail, code="vm.read_only")
    return vm


def changeable(ref: str, scope: Scope) -> Vm:
    """The VM, idle and not half deleted. Raises ConflictError (`vm.deleting`, `vm.busy`), NotFoundError."""
    vm = existing(ref, scope)
    if vm.observed_state == "deleting":
        raise ConflictError(f"Deleting VM '{vm.name}' has begun: delete it again.", code="vm.deleting")
    return vm


def changed(vm_id: str) -> None:
    """What people define of the VM is another now: a tag that was read before is yesterday's."""
    Vm.update(generation=Vm.generation + 1).where(Vm.id == vm_id).execute()


def running(ref: str, scope: Scope) -> Vm:
    """The VM, idle and on a host. Raises ConflictError (`vm.not_running`, `vm.busy`), NotFoundError."""
    vm = existing(ref, scope)
    queries.host_of(vm)
    return vm


def awake(ref: str, scope: Scope) -> Vm:
    """The VM, idle, on a host, and not held still. Raises ConflictError (`vm.paused` too), NotFoundError."""
    vm = running(ref, scope)
    if vm.desired_state == "paused":
        raise ConflictError(f"VM '{vm.name}' is paused: 'nacre vm resume {vm.name}' first.", code="vm.paused")
    return vm


def put_on(vm: Vm, host: ChosenHost) -> None:
    """The VM is to be started on `host`: the kind of virtualisation is fixed now, for as long as it runs."""
    vm.host_id = host.id
    vm.virt_type = host.virt_type
    vm.machine = machine_of(cast(Chipset, vm.chipset), str(host.machine))
    write_back(vm, "host", "virt_type", "machine", "epoch", "desired_state")


def observe(ctx: Context, vm_id: str, state: str) -> None:
    """Note what was seen of the VM. Silent when it is gone."""
    state_changes.change_vm(ctx, vm_id, observed_state=state, observed_at=ctx.clock.now())


def take_off(ctx: Context, vm_id: str) -> None:
    """The VM runs nowhere: it keeps its disks and gives back every host's capacity."""
    allocations.release(vm_id)
    state_changes.change_vm(ctx, vm_id, host=None, observed_state="stopped", observed_at=ctx.clock.now())


def forget(vm_id: str) -> None:
    """Remove every row of the VM. Silent when there is none; what was decided and audited about it stays."""
    vm = queries.find_by_id(Vm, vm_id)
    if vm is None:
        return
    quotas.give_back(vm.project_id, quotas.of_vm(vm))
    allocations.release(vm_id)
    for table in (Nic, Drive, Screenshot, Volume):
        table.delete().where(table.vm == vm_id).execute()
    Vm.delete().where(Vm.id == vm_id).execute()
