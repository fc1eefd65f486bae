"""Queries of objects by id or name, with one error for missing ones of all kinds."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar, cast

from peewee import fn

from service.db.engine.prepared import Parameter, Prepared
from service.db.engine.sql_types import ForeignKey, Model, Select
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

Kind = TypeVar("Kind", bound=Model)
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
LONGEST_ECHO = 80  # characters of input that are echoed in an error
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
OWNED = frozenset({Image, PlacementGroup, Vm, Volume})  # by projects; all others belong to the cloud, visible to all


def find(table: type[Named], ref: str, scope: Scope) -> Named | None:
    """Return the object with this id, or this name in the scope's project, or None.

    Names never look like ids. A usable image of another project is found by its name too, if it is the only one.
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


def _offered(seen: Select[Kind], name: str) -> Kind | None:
    images = list(seen.where(Image.name == name).limit(2))
    if len(images) > 1:
        detail = f"Several projects share an image '{name[:LONGEST_ECHO]}': use its id."
        raise ConflictError(detail, code="image.ambiguous")
    return images[0] if images else None


def get(table: type[Named], ref: str, scope: Scope) -> Named:
    """Find the object. Raises NotFoundError with the code `<kind>.not_found`.

    Another project's object gives the same error as a missing one.
    """
    row = find(table, ref, scope)
    if row is None:
        raise not_found(KIND[table], ref)
    return row


def not_found(kind: str, ref: str) -> NotFoundError:
    """Return the error for a missing object and for another project's."""
    return NotFoundError(_missing_text(kind, ref), code=f"{kind}.not_found")


def _missing_text(kind: str, ref: str) -> str:
    listed = "image uploads" if kind == "upload" else f"{kind.replace('_', '-')} list"
    return f"There is no {kind.replace('_', ' ')} '{ref[:LONGEST_ECHO]}': 'nacre {listed}' shows them."


def referenced(table: type[Named], ref: str, field: str, scope: Scope) -> Named:
    """Return the object that a body names in `field`.

    Raises InvalidError with the code `<kind>.not_found`.
    """
    row = find(table, ref, scope)
    if row is None:
        raise no_such(KIND[table], ref, field)
    return row


def no_such(kind: str, ref: str, field: str) -> InvalidError:
    """Return the error for a body that names a missing object or another project's."""
    detail = _missing_text(kind, ref)
    return InvalidError(detail, code=f"{kind}.not_found", errors=(FieldError(field, detail),))


def everything(table: type[Named], scope: Scope) -> list[Named]:
    """Return all visible objects of a kind, by name."""
    if table not in OWNED and table is not Project:
        return _by_names(table).all()
    return list(readable(table, scope).order_by(table.name, table.id))


@functools.cache
def _by_names(table: type[Named]) -> Prepared[Named]:
    return Prepared(table, lambda: table.select().order_by(table.name, table.id))


def by_id(table: type[Named], row_id: str) -> Named:
    """Return a row of any project, for the service's own use. Raises NotFoundError."""
    row = find_by_id(table, row_id)
    if row is None:
        raise not_found(KIND[table], row_id)
    return row


def find_by_id(table: type[Named], row_id: str) -> Named | None:
    """Return a row of any project, for the service's own use; None if it is gone."""
    row: Named | None = table.get_or_none(table.id == row_id)
    return row


def name_is_taken(table: Any, name: str, project_id: str) -> bool:
    """Return True if the project has an object of this kind and name."""
    return bool(_by_name(table).tuples(name=name, project_id=project_id))


@functools.cache
def _by_name(table: Any) -> Prepared[Any]:
    named = (table.project == Parameter("project_id")) & (table.name == Parameter("name"))
    return Prepared(table, lambda: table.select(table.id).where(named).limit(1))


def readable(table: type[Kind], scope: Scope) -> Select[Kind]:
    """Return a query of all visible rows of a kind; lists add filters, order and page."""
    seen = scope.may_read(table) if table in OWNED or table is Project else None
    rows: Select[Kind] = table.select()
    rows = rows if table is not Image else rows.where(Image.state != "retired")
    return rows if seen is None else rows.where(seen)


def vms_on(host: Host) -> list[Vm]:
    """Return the VMs that the database has on a host."""
    return list(Vm.select().where(Vm.host == host).order_by(Vm.name))


def host_of(vm: Vm) -> Host:
    """Return the VM's host. Raises ConflictError (`vm.not_running`) if it is on none."""
    if vm.host is None:
        raise ConflictError(f"VM '{vm.name}' is {vm.observed_state}: start it first.", code="vm.not_running")
    return vm.host


def volumes(vm: Vm) -> list[Volume]:
    """Return a VM's volumes, in the order of their targets."""
    return list(Volume.select().where(Volume.vm == vm).order_by(Volume.target))


def drives(vm: Vm) -> list[Drive]:
    """Return a VM's CD-ROM drives by target, without the one of its seed."""
    return list(Drive.select().where(Drive.vm == vm).order_by(Drive.target))


def data_volumes(scope: Scope) -> list[Volume]:
    """Return the visible data volumes, by name."""
    return list(readable(Volume, scope).where(Volume.role == "data").order_by(Volume.name, Volume.id))


def nics(vm: Vm) -> list[Nic]:
    """Return a VM's network cards."""
    return list(Nic.select().where(Nic.vm == vm).order_by(Nic.created_at, Nic.id))


def nics_of(vms: list[Vm]) -> dict[str, list[Nic]]:
    """Return VM id → its network cards, for many VMs at once."""
    cards: dict[str, list[Nic]] = {vm.id: [] for vm in vms}
    for nic in Nic.select().where(Nic.vm.in_(list(cards))).order_by(Nic.created_at, Nic.id):
        cards[nic.vm_id].append(nic)
    return cards


def attach(rows: Sequence[Model], *references: ForeignKey) -> None:
    """Read the rows referred to by these columns, one query for each column."""
    for field in references:
        wanted = {row.__data__[field.name] for row in rows} - {None}
        found = {row.id: row for row in field.rel_model.select().where(field.rel_model.id.in_(list(wanted)))}
        for row in rows:
            setattr(row, field.name, found.get(row.__data__[field.name]))


def pools() -> list[Pool]:
    """Return every pool that was ever observed or is in use."""
    return list(Pool.select().order_by(Pool.name))


def pool(name: str) -> Pool | None:
    """Return one pool as last observed; None before the first observation."""
    return SEEN_POOL.first(name=name)


def storage() -> Storage | None:
    """Return the storage cluster as last observed; None before the first observation."""
    row: Storage | None = Storage.get_or_none(Storage.id == 1)
    return row


def host_groups_of(project_id: str) -> frozenset[str] | None:
    """Return the ids of the host groups that a project is bound to; None: all hosts."""
    groups = ProjectHostGroup.select(ProjectHostGroup.group).where(ProjectHostGroup.project == project_id)
    return frozenset(one.group_id for one in groups) or None


def groups_by_host() -> defaultdict[str, frozenset[str]]:
    """Return host id → ids of its host groups."""
    found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for member in HostGroupMember.select():
        found[member.host_id] |= {member.group_id}
    return found


def allocated(host_ids: Iterable[str] | None = None) -> dict[str, tuple[int, int, int]]:
    """Return host id → (vCPUs, MiB, VMs) allocated on it."""
    rows = Allocation.select(
        Allocation.host,
        fn.SUM(Allocation.vcpus),
        fn.SUM(Allocation.memory_mib),
        fn.COUNT(Allocation.id),
    ).group_by(Allocation.host)
    if host_ids is not None:
        rows = rows.where(Allocation.host.in_(list(host_ids)))
    tuples = cast("Iterable[tuple[str, int, int, int]]", rows.tuples())
    return {host_id: (vcpus, memory_mib, vms) for host_id, vcpus, memory_mib, vms in tuples}


def taken_addresses(network: Network) -> set[str]:
    """Return the addresses on a network that have an owner."""
    owned = (Nic.network == network) & Nic.address.is_null(False)
    rows = cast("Iterable[tuple[str]]", Nic.select(Nic.address).where(owned).tuples())
    return {address for (address,) in rows}


def both_are_free(network_id: str, mac: str, address: str) -> bool:
    """Return True if neither this MAC nor this address on the network has an owner."""
    return not CLASH.tuples(network_id=network_id, mac=mac, address=address)


class TakenMacs:
    """Container of MACs that have an owner, queried one by one: there may be many."""

    def __contains__(self, mac: object) -> bool:
        return bool(Nic.select().where(Nic.mac == mac).exists())


def last_placement(vm_id: str) -> Placement | None:
    """Return the newest decision about a VM."""
    row: Placement | None = (
        Placement.select().where(Placement.vm_id == vm_id).order_by(Placement.created_at.desc()).first()
    )
    return row
