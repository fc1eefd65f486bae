"""Reads. An object is found by its id or by its name; a missing one is one error for all kinds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from peewee import fn

from service.db.tables import (
    Allocation,
    Flavor,
    Host,
    Image,
    Network,
    Nic,
    Placement,
    Pool,
    Storage,
    Token,
    Vm,
    Volume,
)
from service.errors import ConflictError, FieldError, InvalidError, NotFoundError

Named = TypeVar("Named", Host, Flavor, Network, Image, Vm)

LONGEST_ECHO = 80  # of what was asked for, told back in an error
KIND = {Host: "host", Flavor: "flavor", Network: "network", Image: "image", Vm: "vm"}


def find(table: type[Named], ref: str) -> Named | None:
    """The object with this id or name; None when there is none. Names never look like ids."""
    row: Named | None = table.get_or_none((table.id == ref) | (table.name == ref))
    return row


def get(table: type[Named], ref: str) -> Named:
    """The object with this id or name. Raises NotFoundError with the code `<kind>.not_found`."""
    row = find(table, ref)
    if row is None:
        kind = KIND[table]
        raise NotFoundError(f"There is no {kind} '{ref[:LONGEST_ECHO]}'.", code=f"{kind}.not_found")
    return row


def referenced(table: type[Named], ref: str, field: str) -> Named:
    """The object that a request's body names in `field`. Raises InvalidError with the code `<kind>.not_found`."""
    row = find(table, ref)
    if row is None:
        kind = KIND[table]
        told = f"There is no {kind} '{ref[:LONGEST_ECHO]}': 'nacre {kind} list' shows them."
        raise InvalidError(told, code=f"{kind}.not_found", errors=(FieldError(field, told),))
    return row


def everything(table: type[Named]) -> list[Named]:
    """All objects of a kind, by name."""
    return list(table.select().order_by(table.name))


def vms_on(host: Host) -> list[Vm]:
    """The VMs that the database believes on a host."""
    return list(Vm.select().where(Vm.host == host).order_by(Vm.name))


def host_of(vm: Vm) -> Host:
    """The host that a VM is on. Raises ConflictError (`vm.not_running`) when it is on none."""
    if vm.host is None:
        raise ConflictError(f"VM '{vm.name}' is {vm.observed_state}: start it first.", code="vm.not_running")
    return vm.host


def volumes(vm: Vm) -> list[Volume]:
    """A VM's volumes, in the order of their targets."""
    return list(Volume.select().where(Volume.vm == vm).order_by(Volume.target))


def nics(vm: Vm) -> list[Nic]:
    """A VM's network cards."""
    return list(Nic.select().where(Nic.vm == vm).order_by(Nic.created_at, Nic.id))


def pools() -> list[Pool]:
    """All pools, as last observed."""
    return list(Pool.select().order_by(Pool.name))


def pool(name: str) -> Pool | None:
    """One pool as last observed; None before the first observation."""
    row: Pool | None = Pool.get_or_none(Pool.name == name)
    return row


def storage() -> Storage | None:
    """The storage cluster as last observed; None before the first observation."""
    row: Storage | None = Storage.get_or_none(Storage.id == 1)
    return row


def token_by_sha256(digest: str) -> Token | None:
    """The token with this SHA-256, as hex."""
    row: Token | None = Token.get_or_none(Token.sha256 == digest)
    return row


def allocated(host_ids: Iterable[str] | None = None) -> dict[str, tuple[int, int, int]]:
    """Host id → (vCPUs, MiB, VMs) promised on it."""
    rows = Allocation.select(
        Allocation.host,
        fn.SUM(Allocation.vcpus),
        fn.SUM(Allocation.memory_mib),
        fn.COUNT(Allocation.id),
    ).group_by(Allocation.host)
    if host_ids is not None:
        rows = rows.where(Allocation.host.in_(list(host_ids)))
    tuples: Iterable[tuple[str, int, int, int]] = cast(Any, rows.tuples())
    return {host_id: (vcpus, memory_mib, vms) for host_id, vcpus, memory_mib, vms in tuples}


def taken_addresses(network: Network) -> set[str]:
    """Addresses on a network that have an owner."""
    return {row.address for row in Nic.select(Nic.address).where(Nic.network == network)}


def taken_macs() -> set[str]:
    """MACs that have an owner."""
    return {row.mac for row in Nic.select(Nic.mac)}


def last_placement(vm_id: str) -> Placement | None:
    """The newest decision about a VM."""
    row: Placement | None = (
        Placement.select().where(Placement.vm_id == vm_id).order_by(Placement.created_at.desc()).first()
    )
    return row


def in_use(image: Image) -> int:
    """How many VMs are clones of an image."""
    count: int = Vm.select().where(Vm.image == image).count()
    return count
