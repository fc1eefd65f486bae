"""Claims of a host's capacity, exact under concurrency: the host's counters are always the sums of its allocations.

Nobody else writes the counters. A claim is one conditional statement: it counts only if nobody claimed since it was
decided and, as the last guard, if there is room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from service.db import change_counter
from service.db.engine.prepared import Parameter, Prepared, insert
from service.db.tables import Allocation, Host, Vm
from service.errors import ConflictError


@dataclass(frozen=True, slots=True)
class Room:
    """A host as a decision saw it: `usable_*` is all that may be promised on it, to everybody together."""

    host_id: str
    host_name: str
    generation: int
    usable_vcpus: int
    usable_memory_mib: int


def claim(*, allocation_id: str, vm: Vm, room: Room, vcpus: int, memory_mib: int, now: datetime) -> int | None:
    """Promise capacity of a host to `vm`, inside the caller's transaction; returns the number of the change.

    A VM that is on another host is moving: both ends count the move, and None is returned, for more than the host has
    changed. Raises ConflictError (`placement.raced`) when the host's generation moved on or there is no room: never,
    where the decision was made in the same transaction.
    """
    number = change_counter.next_number()
    if PROMISE.run(number=number, vcpus=vcpus, memory_mib=memory_mib, **asdict(room)) != 1:
        told = f"Host {room.host_name} was claimed by another request; try again."
        raise ConflictError(told, code="placement.raced")
    others = [held.host_id for held in _of(vm.id)] if vm.host_id is not None else []
    if others:
        Host.update(changed=number).where(Host.id.in_(others)).execute()
    _hold(allocation_id, vm, room.host_id, vcpus, memory_mib, now)
    return None if others else number


def hold(*, allocation_id: str, vm: Vm, host_id: str, vcpus: int, memory_mib: int, now: datetime) -> None:
    """The VM was found on the host: what it takes there is taken, whether there is room or not."""
    _add(host_id, vcpus, memory_mib, 1)
    _hold(allocation_id, vm, host_id, vcpus, memory_mib, now)


def resize(vm: Vm, *, vcpus: int, memory_mib: int) -> None:
    """The VM holds so much of its host from now on; silent when it is on none. Its room was looked for in the same
    transaction: whoever decides about the host meanwhile is told by the generation."""
    for held in _of(vm.id):
        _add(held.host_id, vcpus - held.vcpus, memory_mib - held.memory_mib, 0)
    Allocation.update(vcpus=vcpus, memory_mib=memory_mib).where(Allocation.vm == vm.id).execute()


def release(vm_id: str, *, host_id: str | None = None) -> None:
    """Give back what a VM holds on one host, or everywhere. Silent when it holds nothing."""
    _give_back(vm_id, lambda held: host_id is None or held == host_id)


def release_elsewhere(vm_id: str, host_id: str) -> None:
    """Give back what a VM holds on every host but one: it has moved there."""
    _give_back(vm_id, lambda held: held != host_id)


def recount() -> list[str]:
    """Names of hosts whose counters were not the sums, put right inside the caller's transaction.

    A process of a release that knows no counters, still running on an upgraded database, leaves such.
    """
    columns = fn.SUM(Allocation.vcpus), fn.SUM(Allocation.memory_mib), fn.COUNT(Allocation.id)
    rows: Any = Allocation.select(Allocation.host, *columns).group_by(Allocation.host).tuples()
    held = {host_id: (int(vcpus), int(memory_mib), int(vms)) for host_id, vcpus, memory_mib, vms in rows}
    wrong = []
    for host in Host.select(Host.id, Host.name, Host.allocated_vcpus, Host.allocated_memory_mib, Host.vm_count):
        sums, counted = held.get(host.id, (0, 0, 0)), (host.allocated_vcpus, host.allocated_memory_mib, host.vm_count)
        if sums != counted:
            vcpus, memory_mib, vms = (there - told for there, told in zip(sums, counted, strict=True))
            _add(host.id, vcpus, memory_mib, vms)
            wrong.append(str(host.name))
    return wrong


def _give_back(vm_id: str, which: Callable[[str], bool]) -> None:
    held = _of(vm_id)
    going, staying = [one for one in held if which(one.host_id)], [one for one in held if not which(one.host_id)]
    for one in going:
        Allocation.delete().where(Allocation.id == one.id).execute()
        _add(one.host_id, -one.vcpus, -one.memory_mib, -1)
    if going and staying:  # where it stays a move has ended, too
        change_counter.touch(one.host_id for one in staying)


def _of(vm_id: str) -> list[Allocation]:
    return list(Allocation.select().where(Allocation.vm == vm_id))


def _add(host_id: str, vcpus: int, memory_mib: int, vms: int) -> None:
    number = change_counter.next_number()
    more: Any = Host.update(generation=Host.generation + 1, changed=number, **_counters(vcpus, memory_mib, vms))
    more.where(Host.id == host_id).execute()


def _counters(vcpus: Any, memory_mib: Any, vms: int) -> dict[str, Any]:
    return {
        "allocated_vcpus": Host.allocated_vcpus + vcpus,
        "allocated_memory_mib": Host.allocated_memory_mib + memory_mib,
        "vm_count": Host.vm_count + vms,
    }


def _promise() -> Any:
    """A claim of a host's room: no row is changed when its generation moved on, or when there is too little."""
    vcpus, memory_mib = Parameter("vcpus", Host.allocated_vcpus), Parameter("memory_mib", Host.allocated_memory_mib)
    as_seen = (Host.id == Parameter("host_id")) & (Host.generation == Parameter("generation"))
    enough = (Host.allocated_vcpus + vcpus <= Parameter("usable_vcpus")) & (
        Host.allocated_memory_mib + memory_mib <= Parameter("usable_memory_mib")
    )
    number: Any = Parameter("number", Host.changed)
    more: Any = Host.update(generation=Host.generation + 1, changed=number, **_counters(vcpus, memory_mib, 1))
    return more.where(as_seen & enough)


PROMISE = Prepared(Host, _promise)


def _hold(allocation_id: str, vm: Vm, host_id: str, vcpus: int, memory_mib: int, now: datetime) -> None:
    insert(Allocation, id=allocation_id, created_at=now, vm=vm.id, host=host_id, vcpus=vcpus, memory_mib=memory_mib)
