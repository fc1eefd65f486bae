"""Claims of a host's capacity, exact under concurrency: a claim counts only if nobody claimed since it was decided."""

from __future__ import annotations

from datetime import datetime

from service.db.tables import Allocation, Host, Vm
from service.errors import ConflictError


def claim(*, allocation_id: str, vm: Vm, host: Host, vcpus: int, memory_mib: int, now: datetime) -> Allocation:
    """Promise capacity of `host` to `vm`, inside the caller's transaction.

    `host` is as it was read for the decision. Raises ConflictError (`placement.raced`) when its generation moved on.
    """
    raised = (
        Host.update(generation=Host.generation + 1)
        .where((Host.id == host.id) & (Host.generation == host.generation))
        .execute()
    )
    if raised != 1:
        raise ConflictError(f"Host {host.name} was claimed by another request; try again.", code="placement.raced")
    allocation: Allocation = Allocation.create(
        id=allocation_id, created_at=now, vm=vm, host=host, vcpus=vcpus, memory_mib=memory_mib
    )
    return allocation


def resize(vm: Vm, *, vcpus: int, memory_mib: int) -> None:
    """The VM holds so much of its host from now on; silent when it is on none. Its room was looked for in the same
    transaction: whoever decides about the host meanwhile is told by the generation."""
    held = Allocation.vm == vm.id
    if Allocation.update(vcpus=vcpus, memory_mib=memory_mib).where(held).execute():
        Host.update(generation=Host.generation + 1).where(Host.id == vm.host_id).execute()


def release(vm_id: str, *, host_id: str | None = None) -> None:
    """Give back what a VM holds on one host, or everywhere. Silent when it holds nothing."""
    mine = Allocation.vm == vm_id
    Allocation.delete().where(mine if host_id is None else mine & (Allocation.host == host_id)).execute()


def release_elsewhere(vm_id: str, host_id: str) -> None:
    """Give back what a VM holds on every host but one: it has moved there."""
    Allocation.delete().where((Allocation.vm == vm_id) & (Allocation.host != host_id)).execute()
