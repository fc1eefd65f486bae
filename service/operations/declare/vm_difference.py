"""Differences between a declaration and a VM, by field, with the verbs to apply.

Only stated fields are compared: omitted ones are kept. Nothing is written here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from service.context import Context
from service.db import placement_groups as groups
from service.db import queries
from service.db.scope import Scope
from service.db.tables import Drive, Flavor, Image, Nic, Vm, Volume
from service.errors import FieldError, InvalidError
from service.json_types import Json, JsonObject
from service.operations.images.definition import shown_name
from service.operations.placement import placement_groups
from service.operations.rows import volume_rows
from service.operations.rows.new_vm import NewDisk, NewVm
from service.operations.vms import resize_vm

GIB = 1 << 30
WITHHELD = "(withheld)"
When = Literal["now", "next_start", "never"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference in one field.

    apply_vm calls `verb` with `args`; without a verb the request itself applies it, or it cannot be changed.
    """

    field: str
    before: Json
    to: Json
    when: When = "now"
    verb: str = ""
    args: JsonObject = dataclasses.field(default_factory=dict)

    def shown(self) -> JsonObject:
        """Return it as JSON for the answer."""
        return {"field": self.field, "from": self.before, "to": self.to, "when": self.when}


@dataclass(frozen=True, slots=True)
class Declared:
    """A declaration, and the names of the stated fields: `flavor`, `root.pool` …"""

    vm: NewVm
    stated: frozenset[str]


def differences(ctx: Context, scope: Scope, vm: Vm, declared: Declared) -> tuple[Difference, ...]:
    """Return all differences in the order in which they are applied.

    Raises InvalidError for an object that does not exist or a disk that would shrink.
    """
    state = list(_state(vm, declared))
    off = vm.host is None or any(one.verb == "shut_down" for one in state)
    changes = [
        *_fixed(vm, declared),
        *_edits(scope, vm, declared, off=off),
        *_flavor(ctx, scope, vm, declared, off=off),
        *_root(vm, declared),
        *_disks(scope, vm, declared),
        *_drives(scope, vm, declared, off=off),
    ]
    return tuple([*state, *changes] if off and vm.host is not None else [*changes, *state])


def _fixed(vm: Vm, declared: Declared) -> Iterator[Difference]:
    """Yield differences in fields that cannot be changed."""
    new, root = declared.vm, _root_of(vm)
    nic = next(iter(queries.nics(vm)), None)  # an adopted VM may have none
    seeded = any(volume.role == "seed" for volume in queries.volumes(vm))
    for name, is_same, before, to in (
        ("image", _is_image(vm.image, new.root.image), shown_name(vm.image), new.root.image),
        ("root.pool", new.root.pool in (None, root.pool), root.pool, new.root.pool),
        ("root.bus", new.root.bus in (None, root.bus), root.bus, new.root.bus),
        ("network", _is_network(nic, new.network), nic.network.name if nic else None, new.network),
        ("nic_model", nic is not None and new.nic_model == nic.model, nic.model if nic else None, new.nic_model),
        ("user", new.user in (None, vm.user), vm.user, new.user),
        ("ssh_keys", list(new.ssh_keys) == vm.ssh_keys, vm.ssh_keys, list(new.ssh_keys)),
        ("user_data", new.user_data == vm.user_data, WITHHELD, WITHHELD),
        ("cloud_init", new.cloud_init in (None, seeded), seeded, new.cloud_init),
        *((name, getattr(new, name) == getattr(vm, name), getattr(vm, name), getattr(new, name)) for name in HARDWARE),
    ):
        if name in declared.stated and not is_same:
            yield Difference(name, before, to, "never")


HARDWARE = ("firmware", "chipset", "clock", "video")


def _edits(scope: Scope, vm: Vm, declared: Declared, *, off: bool) -> Iterator[Difference]:
    new = declared.vm
    rules = [group.name for group in placement_groups.named(new.placement_groups, vm.project_id, scope)]
    for name, before, to in (
        ("description", vm.description, new.description),
        ("tags", vm.tags, sorted(set(new.tags))),
        ("boot", vm.boot, list(new.boot)),
        ("placement_groups", groups.names_of(vm.id), rules),
    ):
        if name in declared.stated and before != to:
            yield Difference(name, before, to, "next_start" if name == "boot" and not off else "now")


def _flavor(ctx: Context, scope: Scope, vm: Vm, declared: Declared, *, off: bool) -> Iterator[Difference]:
    flavor = queries.referenced(Flavor, declared.vm.flavor, "flavor", scope)
    if "flavor" in declared.stated and flavor.id != vm.flavor_id:
        waits = not off and bool(resize_vm.reasons_to_wait(ctx, vm, flavor))
        when: When = "next_start" if waits else "now"
        yield Difference("flavor", vm.flavor.name, flavor.name, when, "resize", {"flavor": flavor.id})


def _root(vm: Vm, declared: Declared) -> Iterator[Difference]:
    if "root.size_gib" in declared.stated:
        yield from _size("root", _root_of(vm), declared.vm.root)


def _disks(scope: Scope, vm: Vm, declared: Declared) -> Iterator[Difference]:
    """Yield differences of disks.

    A named disk is the volume of that name; the others are matched in the order of their targets.
    """
    if "disks" not in declared.stated:
        return
    there = [volume for volume in queries.volumes(vm) if volume.role == "data"]
    named = {volume.name: volume for volume in there}
    wanted = {disk.name for disk in declared.vm.disks}
    unnamed = [volume for volume in there if volume.name not in wanted]
    for number, disk in enumerate(declared.vm.disks):
        where = f"disks.{disk.name or number}"
        volume = named.get(disk.name) if disk.name else (unnamed.pop(0) if unnamed else None)
        yield from _disk(where, volume, disk) if volume is not None else _new_disk(scope, vm, where, disk)
    for volume in unnamed:
        yield Difference(f"disks.{volume.name}", volume.name, None, verb="detach", args={"disk": volume.id})


def _disk(where: str, volume: Volume, disk: NewDisk) -> Iterator[Difference]:
    for name, before, to in (("pool", volume.pool, disk.pool), ("bus", volume.bus, disk.bus)):
        if to not in (None, before):
            yield Difference(f"{where}.{name}", before, to, "never")
    if disk.image is not None and not _is_image(volume.image, disk.image):
        yield Difference(f"{where}.image", shown_name(volume.image), disk.image, "never")
    yield from _size(where, volume, disk)


def _new_disk(scope: Scope, vm: Vm, where: str, disk: NewDisk) -> Iterator[Difference]:
    kept = queries.find(Volume, disk.name, scope) if disk.name else None
    if kept is not None and kept.role == "data" and kept.project_id == vm.project_id:
        yield Difference(where, None, kept.name, verb="attach_volume", args={"volume": kept.id, "bus": disk.bus})
        if kept.size_bytes != (disk.size_bytes or kept.size_bytes):
            yield from _size(where, kept, disk)
    else:
        yield Difference(where, None, disk.name or "new", verb="attach", args=dataclasses.asdict(disk))


def _size(where: str, volume: Volume, disk: NewDisk) -> Iterator[Difference]:
    if disk.size_bytes is None or disk.size_bytes == volume.size_bytes:
        return
    if disk.size_bytes < volume.size_bytes:
        detail = f"The disk has {volume.size_bytes} bytes and can only be made larger: shrinking it would lose data."
        raise InvalidError(detail, code="volume.shrink", errors=(FieldError(f"{where}.size_gib", detail),))
    args = {"disk": volume.id, "size_bytes": disk.size_bytes}
    before, to = volume.size_bytes / GIB, disk.size_bytes / GIB
    yield Difference(f"{where}.size_gib", before, to, verb="grow", args=args)


def _drives(scope: Scope, vm: Vm, declared: Declared, *, off: bool) -> Iterator[Difference]:
    """Yield differences of drives by target; a drive without a declaration is emptied."""
    if "cdroms" not in declared.stated:
        return
    there, wanted = queries.drives(vm), declared.vm.drives
    for number in range(max(len(there), len(wanted))):
        where = f"cdroms.{number}"
        ref = wanted[number].image if number < len(wanted) else None
        image = volume_rows.ready_image(ref, where, scope, kind="iso") if ref is not None else None
        if number < len(there):
            yield from _medium(where, there[number], image)
        elif number == 0 and off and image is not None:
            yield Difference(where, None, image.name, verb="insert", args={"image": image.id, "drive": None})
        else:
            yield Difference(where, None, image.name if image else "empty", "never")


def _medium(where: str, drive: Drive, image: Image | None) -> Iterator[Difference]:
    before = shown_name(drive.image)
    if image is None and drive.image is not None:
        yield Difference(f"{where}.image", before, None, verb="eject", args={"drive": drive.target})
    elif image is not None and drive.image_id != image.id:
        args = {"image": image.id, "drive": drive.target}
        yield Difference(f"{where}.image", before, image.name, verb="insert", args=args)


def _state(vm: Vm, declared: Declared) -> Iterator[Difference]:
    want, is_on = declared.vm.start, vm.host is not None
    has = vm.desired_state if is_on else "stopped"
    if "start" not in declared.stated or want == has:
        return
    if want == "stopped":
        verb = "shut_down"
    elif not is_on:
        verb = "start"
    else:
        verb = "pause" if want == "paused" else "resume"
    yield Difference("start", has, want, verb=verb, args={"paused": want == "paused"} if verb == "start" else {})


def _root_of(vm: Vm) -> Volume:
    return next(volume for volume in queries.volumes(vm) if volume.role == "root")


def _is_image(image: Image | None, ref: str | None) -> bool:
    return ref is None if image is None else ref in (image.id, shown_name(image))


def _is_network(nic: Nic | None, ref: str | None) -> bool:
    return ref is None or (nic is not None and ref in (nic.network.id, nic.network.name))
