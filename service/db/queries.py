"""Reads. An object is found by its id or by its name; a missing one is one error for all kinds."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from peewee import fn

from service.db.engine.prepared import Parameter, Prepared
from service.db.scope import EVERYTHING, Scope
from service.db.tables import (
    Allocation,
    Drive,
    Flavor,
    Host,
    HostGroup,
    HostGroupMember,
    Image,
    Network,
    Nic,
    Placement,
    PlacementGroup,
    Pool,
    Project,
    ProjectHostGroup,
    Storage,
    Token,
    Upload,
    User,
    Vm,
    Volume,
)
from service.errors import ConflictError, FieldError, InvalidError, NotFoundError

Named = TypeVar("Named", Host, Flavor, Network, Image, Vm, Volume, Project, User, HostGroup, PlacementGroup)

SEEN_POOL = Prepared(
    Pool, lambda: Pool.select().where((Pool.name == Parameter("name")) & Pool.facts.is_null(False)).limit(1)
)
CLASH = Prepared(
    Nic,
    lambda: (
        Nic.select(Nic.id)
        .where(
            (Nic.mac == Parameter("mac"))
            | ((Nic.network == Parameter("network_id")) & (Nic.address == Parameter("address")))
        )
        .limit(1)
    ),
)
LONGEST_ECHO = 80  # of what was asked for, told back in an error
KIND = {
    Host: "host",
    Flavor: "flavor",
    Network: "network",
    Image: "image",
    Vm: "vm",
    Upload: "upload",
    Volume: "volume",
    Project: "project",
    Token: "token",
    User: "user",
    HostGroup: "host_group",
    PlacementGroup: "placement_group",
}
OWNED = frozenset({Image, PlacementGroup, Vm, Volume})  # by projects; all else is the cloud's own and seen by everybody


def find(table: type[Named], ref: str, scope: Scope) -> Named | None:
    """The object with this id, or with this name in the scope's project; None when there is none to be seen.

    Names never look like ids. An image of another project that may be used is found by its name too, when only one is.
    """
    row: Named | None
    if table not in OWNED and table is not Project:
        return _by_ref(table).first(ref=ref)
    if scope.visible is None and scope.project_id is not None and table is not Project:
        row = _by_ref_in_project(table).first(ref=ref, project_id=scope.project_id)
        return row if row is not None or table is not Image else _offered(readable(table, scope), ref)
    seen = readable(table, scope)
    if table is Project:
        row = seen.where((table.id == ref) | (table.name == ref)).first()
        return row
    owned: Any = table
    ours = (owned.id == ref) | ((owned.name == ref) & (owned.project_id == scope.project_id))
    row = seen.where(ours).first()
    return row if row is not None or table is not Image else _offered(seen, ref)


@functools.cache
def _by_ref(table: type[Named]) -> Prepared[Named]:
    ref = Parameter("ref")
    return Prepared(table, lambda: table.select().where((table.id == ref) | (table.name == ref)).limit(1))


@functools.cache
def _by_ref_in_project(table: Any) -> Prepared[Any]:
    ref = Parameter("ref")
    ours = (table.id == ref) | ((table.name == ref) & (table.project == Parameter("project_id")))
    return Prepared(table, lambda: readable(table, EVERYTHING).where(ours).limit(1))


def _offered(seen: Any, name: str) -> Any:
    images = list(seen.where(Image.name == name).limit(2))
    if len(images) > 1:
        told = f"Several projects offer an image '{name[:LONGEST_ECHO]}': use its id."
        raise ConflictError(told, code="image.ambiguous")
    return images[0] if images else None


def get(table: type[Named], ref: str, scope: Scope) -> Named:
    """As find(). Raises NotFoundError with the code `<kind>.not_found`: another project's object is a missing one."""
    row = find(table, ref, scope)
    if row is None:
        raise not_found(KIND[table], ref)
    return row


def not_found(kind: str, ref: str) -> NotFoundError:
    """What a missing object and another project's are answered with."""
    return NotFoundError(_is_missing(kind, ref), code=f"{kind}.not_found")


def _is_missing(kind: str, ref: str) -> str:
    listed = "image uploads" if kind == "upload" else f"{kind.replace('_', '-')} list"
    return f"There is no {kind.replace('_', ' ')} '{ref[:LONGEST_ECHO]}': 'nacre {listed}' shows them."


def referenced(table: type[Named], ref: str, field: str, scope: Scope) -> Named:
    """The object that a request's body names in `field`. Raises InvalidError with the code `<kind>.not_found`."""
    row = find(table, ref, scope)
    if row is None:
        raise no_such(KIND[table], ref, field)
    return row


def no_such(kind: str, ref: str, field: str) -> InvalidError:
    """What a body is answered that names a missing object, or another project's."""
    told = _is_missing(kind, ref)
    return InvalidError(told, code=f"{kind}.not_found", errors=(FieldError(field, told),))


def everything(table: type[Named], scope: Scope) -> list[Named]:
    """All objects of a kind that may be seen, by name."""
    if table not in OWNED and table is not Project:
        return _by_names(table).all()
    return list(readable(table, scope).order_by(table.name, table.id))


@functools.cache
def _by_names(table: type[Named]) -> Prepared[Named]:
    return Prepared(table, lambda: table.select().order_by(table.name, table.id))


def by_id(table: type[Named], row_id: str) -> Named:
    """The service's own look at a row, whosever it is. Raises NotFoundError."""
    row = find_by_id(table, row_id)
    if row is None:
        raise not_found(KIND[table], row_id)
    return row


def find_by_id(table: type[Named], row_id: str) -> Named | None:
    """The service's own look at a row, whosever it is; None when it is gone."""
    row: Named | None = table.get_or_none(table.id == row_id)
    return row


def name_is_taken(table: Any, name: str, project_id: str) -> bool:
    """Whether the project has an object of this kind and name."""
    return bool(_by_name(table).tuples(name=name, project_id=project_id))


@functools.cache
def _by_name(table: Any) -> Prepared[Any]:
    named = (table.project == Parameter("project_id")) & (table.name == Parameter("name"))
    return Prepared(table, lambda: table.select(table.id).where(named).limit(1))


def readable(table: Any, scope: Scope) -> Any:
    """A query of all rows of a kind that may be seen; a list adds its filters, order and page."""
    seen = scope.may_read(table) if table in OWNED or table is Project else None
    rows = table.select() if table is not Image else table.select().where(Image.state != "retired")
    return rows if seen is None else rows.where(seen)


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


def drives(vm: Vm) -> list[Drive]:
    """A VM's CD-ROM drives, in the order of their targets; without the one that its seed lies in."""
    return list(Drive.select().where(Drive.vm == vm).order_by(Drive.target))


def data_volumes(scope: Scope) -> list[Volume]:
    """The data volumes that may be seen, by name."""
    return list(readable(Volume, scope).where(Volume.role == "data").order_by(Volume.name, Volume.id))


def nics(vm: Vm) -> list[Nic]:
    """A VM's network cards."""
    return list(Nic.select().where(Nic.vm == vm).order_by(Nic.created_at, Nic.id))


def nics_of(vms: list[Vm]) -> dict[str, list[Nic]]:
    """VM id → its network cards, for many VMs at once."""
    cards: dict[str, list[Nic]] = {vm.id: [] for vm in vms}
    for nic in Nic.select().where(Nic.vm.in_(list(cards))).order_by(Nic.created_at, Nic.id):
        cards[nic.vm_id].append(nic)
    return cards


def attach(rows: list[Any], *references: Any) -> None:
    """Read what the rows refer to by these columns, one query for each column."""
    for field in references:
        wanted = {row.__data__[field.name] for row in rows} - {None}
        found = {row.id: row for row in field.rel_model.select().where(field.rel_model.id.in_(list(wanted)))}
        for row in rows:
            setattr(row, field.name, found.get(row.__data__[field.name]))


def pools() -> list[Pool]:
    """Every pool that was ever seen or is in use."""
    return list(Pool.select().order_by(Pool.name))


def pool(name: str) -> Pool | None:
    """One pool as last observed; None before the first observation."""
    return SEEN_POOL.first(name=name)


def storage() -> Storage | None:
    """The storage cluster as last observed; None before the first observation."""
    row: Storage | None = Storage.get_or_none(Storage.id == 1)
    return row


def host_groups_of(project_id: str) -> frozenset[str] | None:
    """Ids of the host groups whose hosts a project's VMs may run on; None: it has none, and may use all hosts."""
    groups = ProjectHostGroup.select(ProjectHostGroup.group).where(ProjectHostGroup.project == project_id)
    return frozenset(one.group_id for one in groups) or None


def groups_by_host() -> defaultdict[str, frozenset[str]]:
    """Host id → ids of the host groups that it is in."""
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for member in HostGroupMember.select():
        found[member.host_id] |= {member.group_id}
    return found


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
    owned = (Nic.network == network) & Nic.address.is_null(False)
    rows: Iterable[tuple[str]] = cast(Any, Nic.select(Nic.address).where(owned).tuples())
    return {address for (address,) in rows}


def both_are_free(network_id: str, mac: str, address: str) -> bool:
    """Whether nobody has this MAC, nor this address on the network."""
    return not CLASH.tuples(network_id=network_id, mac=mac, address=address)


class TakenMacs:
    """MACs that have an owner: asked for one by one, there may be many."""

    def __contains__(self, mac: object) -> bool:
        return bool(Nic.select().where(Nic.mac == mac).exists())


def last_placement(vm_id: str) -> Placement | None:
    """The newest decision about a VM."""
    row: Placement | None = (
        Placement.select().where(Placement.vm_id == vm_id).order_by(Placement.created_at.desc()).first()
    )
    return row
