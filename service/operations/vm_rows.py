"""What the operations on VMs do to a VM's rows: each inside the caller's transaction."""

from __future__ import annotations

from service.context import Context
from service.db import allocations, queries
from service.db.tables import Host, Nic, Vm, Volume
from service.operations.busy import check_idle
from service.operations.choose_host import choose_host


def existing(ref: str) -> Vm:
    """The VM, with no unfinished job on it. Raises NotFoundError, ConflictError (`vm.busy`)."""
    vm = queries.get(Vm, ref)
    check_idle("vm", vm.id, vm.name)
    return vm


def running(ref: str) -> Vm:
    """The VM, idle and on a host. Raises ConflictError (`vm.not_running`, `vm.busy`), NotFoundError."""
    vm = existing(ref)
    queries.host_of(vm)
    return vm


def claim_host(ctx: Context, vm: Vm, *, excluded: Host | None = None, only: Host | None = None) -> Host:
    """Choose a host and promise its capacity to the VM. Raises ConflictError when none fits."""
    host = choose_host(ctx, vm, excluded=excluded, only=only)
    allocations.claim(
        allocation_id=ctx.ids.uuid(),
        vm=vm,
        host=host,
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib + ctx.settings.memory_overhead_mib,
        now=ctx.clock.now(),
    )
    return host


def put_on(vm: Vm, host: Host) -> None:
    """The VM is to be started on `host`: the kind of virtualisation is fixed now, for as long as it runs."""
    vm.host = host
    vm.virt_type = host.virt_type
    vm.machine = host.machine
    vm.save()


def observe(ctx: Context, vm_id: str, state: str) -> None:
    """Note what was seen of the VM. Silent when it is gone."""
    Vm.update(observed_state=state, observed_at=ctx.clock.now()).where(Vm.id == vm_id).execute()


def take_off(ctx: Context, vm_id: str) -> None:
    """The VM runs nowhere: it keeps its disks and gives back every host's capacity."""
    allocations.release(vm_id)
    Vm.update(host=None, observed_state="stopped", observed_at=ctx.clock.now()).where(Vm.id == vm_id).execute()


def forget(vm_id: str) -> None:
    """Remove every row of the VM. Silent when there is none; what was decided and audited about it stays."""
    allocations.release(vm_id)
    Nic.delete().where(Nic.vm == vm_id).execute()
    Volume.delete().where(Volume.vm == vm_id).execute()
    Vm.delete().where(Vm.id == vm_id).execute()
