"""Allocations of hosts' capacity, exact under concurrency.

A host's counters are always the sums of its allocations; only this module writes them. A claim is one conditional
statement: it succeeds only if no other claim was made since its decision and, as the last guard, if there is room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from peewee import fn

from service.db import change_counter
from service.db.engine.prepared import Parameter, Prepared, insert
from service.db.engine.sql_types import Tuples, Value
from service.db.tables import Allocation, Host, Vm
from service.errors import ConflictError
from service.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Room:
    """A host as read by a decision: `usable_*` is all that may be allocated on it."""

    host_id: str
    host_name: str
    generation: int
    usable_vcpus: int
    usable_memory_mib: int


def claim(*, allocation_id: str, vm: Vm, room: Room, vcpus: int, memory_mib: int, now: datetime) -> int | None:
    """Allocate capacity of a host to `vm`; return the number of the change.

    Inside the caller's transaction. A VM that is on another host is being migrated: both hosts count the migration, and
    None is returned because more than this host has changed. Raises ConflictError (`placement.raced`) when the host's
    generation has changed or there is no room: never, if the decision was made in the same transaction.
    """
    number = change_counter.next_number()
    if PROMISE.run(number=number, vcpus=vcpus, memory_mib=memory_mib, **asdict(room)) != 1:
        raise ConflictError(f"Host {room.host_name} was claimed by another request; retry.", code="placement.raced")
    others = [held.host_id for held in _of(vm.id)] if vm.host_id is not None else []
    if others:
        Host.update(changed=number).where(Host.id.in_(others)).execute()
    _hold(allocation_id, vm, room.host_id, vcpus, memory_mib, now)
    return None if others else number


def hold(*, allocation_id: str, vm: Vm, host_id: str, vcpus: int, memory_mib: int, now: datetime) -> None:
    """Allocate for a VM that was found on the host, whether there is room or not."""
    _add(host_id, vcpus, memory_mib, 1)
    _hold(allocation_id, vm, host_id, vcpus, memory_mib, now)


def resize(vm: Vm, *, vcpus: int, memory_mib: int) -> None:
    """Change the VM's allocation on its host; does nothing if it is on none.

    The caller has checked the room in the same transaction; the host's generation makes concurrent decisions fail.
    """
    for held in _of(vm.id):
        _add(held.host_id, vcpus - held.vcpus, memory_mib - held.memory_mib, 0)
    Allocation.update(vcpus=vcpus, memory_mib=memory_mib).where(Allocation.vm == vm.id).execute()


def release(vm_id: str, *, host_id: str | None = None) -> None:
    """Release a VM's allocations on one host or on all, if it has any."""
    _give_back(vm_id, lambda held: host_id is None or held == host_id)


def release_elsewhere(vm_id: str, host_id: str) -> None:
    """Release a VM's allocations on every host but the one it has moved to."""
    _give_back(vm_id, lambda held: held != host_id)


def recount() -> list[str]:
    """Correct counters that are not the sums; return the names of those hosts.

    Inside the caller's transaction. A process of an older release without counters, still running on an upgraded
    database, leaves wrong ones.
    """
    columns = fn.SUM(Allocation.vcpus), fn.SUM(Allocation.memory_mib), fn.COUNT(Allocation.id)
    rows = cast("Tuples", Allocation.select(Allocation.host, *columns).group_by(Allocation.host).tuples())
    held = {host_id: (int(vcpus), int(memory_mib), int(vms)) for host_id, vcpus, memory_mib, vms in rows}
    wrong = []
    for host in Host.select(Host.id, Host.name, Host.allocated_vcpus, Host.allocated_memory_mib, Host.vm_count):
        sums, counted = held.get(host.id, (0, 0, 0)), (host.allocated_vcpus, host.allocated_memory_mib, host.vm_count)
        if sums != counted:
            vcpus, memory_mib, vms = (exact - stored for exact, stored in zip(sums, counted, strict=True))
            _add(host.id, vcpus, memory_mib, vms)
            wrong.append(str(host.name))
    return wrong


def _give_back(vm_id: str, which: Callable[[str], bool]) -> None:
    held = _of(vm_id)
    going, staying = [row for row in held if which(row.host_id)], [row for row in held if not which(row.host_id)]
    for row in going:
        Allocation.delete().where(Allocation.id == row.id).execute()
        _add(row.host_id, -row.vcpus, -row.memory_mib, -1)
    if going and staying:  # on the remaining host a migration has ended, too
        change_counter.touch(row.host_id for row in staying)


def _of(vm_id: str) -> list[Allocation]:
    return list(Allocation.select().where(Allocation.vm == vm_id))


def _add(host_id: str, vcpus: int, memory_mib: int, vms: int) -> None:
    number = change_counter.next_number()
    more: Value = Host.update(generation=Host.generation + 1, changed=number, **_counters(vcpus, memory_mib, vms))
    more.where(Host.id == host_id).execute()


def _counters(vcpus: Value, memory_mib: Value, vms: int) -> JsonObject:
    return {
        "allocated_vcpus": Host.allocated_vcpus + vcpus,
        "allocated_memory_mib": Host.allocated_memory_mib + memory_mib,
        "vm_count": Host.vm_count + vms,
    }


def _claim_statement() -> Value:
    """Return the statement of a claim.

    It changes no row if the host's generation has changed or there is too little room.
    """
    vcpus, memory_mib = Parameter("vcpus", Host.allocated_vcpus), Parameter("memory_mib", Host.allocated_memory_mib)
    as_seen = (Host.id == Parameter("host_id")) & (Host.generation == Parameter("generation"))
    enough = (Host.allocated_vcpus + vcpus <= Parameter("usable_vcpus")) & (
        Host.allocated_memory_mib + memory_mib <= Parameter("usable_memory_mib")
    )
    number: Value = Parameter("number", Host.changed)
    more: Value = Host.update(generation=Host.generation + 1, changed=number, **_counters(vcpus, memory_mib, 1))
    return more.where(as_seen & enough)


PROMISE = Prepared(Host, _claim_statement)


def _hold(allocation_id: str, vm: Vm, host_id: str, vcpus: int, memory_mib: int, now: datetime) -> None:
    insert(Allocation, id=allocation_id, created_at=now, vm=vm.id, host=host_id, vcpus=vcpus, memory_mib=memory_mib)
