"""Rows of a new VM, its volumes, drives and card, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from service.context import Context
from service.db import queries, quotas
from service.db.engine.prepared import insert, insert_all
from service.db.scope import Scope
from service.db.tables import Flavor, Image, Network, Nic, Vm, Volume
from service.errors import ConflictError, InvalidError
from service.hypervisor.spec import NVRAM_BYTES
from service.json_types import JsonObject
from service.network.addresses import AddressPool, new_mac
from service.operations.actor import Actor
from service.operations.disks.change_medium import BUS, add_drive, add_medium, lay_in
from service.operations.placement import placement_groups
from service.operations.rows import volume_rows
from service.operations.rows.device_names import next_target
from service.operations.rows.new_vm import NewDisk, NewVm
from service.operations.vms.cloud_init import SEED_BYTES

ROOT_BUS = "virtio"
SEED_BUS = "scsi"  # cloud kernels have no AHCI driver
USER = "nacre"


def make_rows(ctx: Context, actor: Actor, new: NewVm) -> tuple[Vm, list[Volume]]:
    """Check all that needs no Ceph or host; create the rows and count them in quotas."""
    if queries.name_is_taken(Vm, new.name, actor.scope.home()):
        raise ConflictError(f"There is a VM '{new.name}' already.", code="vm.name_taken")
    image = _image(new.root, actor.scope)
    flavor = queries.referenced(Flavor, new.flavor, "flavor", actor.scope)
    network = _network(new.network, actor.scope)
    has_seed = _wants_seed(new, image)
    vm = _vm(ctx, actor, new, flavor, image, user=_user(new, image) if has_seed else None)
    own = [_root(ctx, vm, new.root, image, flavor)]
    if has_seed:
        target = next_target(SEED_BUS, [own[0]["target"]])
        own.append(_own(ctx, vm, 1, "seed", SEED_BYTES, bus=SEED_BUS, target=target))
    if new.firmware == "uefi":
        own.append(_own(ctx, vm, 2, "nvram", NVRAM_BYTES, bus=ROOT_BUS, target=None))
    volumes = [*insert_all(Volume, own), *_more(ctx, actor, vm, new)]
    _nic(ctx, vm, network, new.nic_model)
    if new.placement_groups:
        placement_groups.put(vm, placement_groups.named(new.placement_groups, vm.project_id, actor.scope))
    quotas.claim(vm.project_id, quotas.of_parts(vm, volumes, addresses=1))
    return vm, volumes


def _more(ctx: Context, actor: Actor, vm: Vm, new: NewVm) -> Iterator[Volume]:
    """Yield the data disks and media."""
    for disk in new.disks:
        name = disk.name or volume_rows.free_name(vm)
        yield volume_rows.add_data(ctx, vm.project_id, disk, actor.scope, name=name, vm=vm)
    for drive in new.drives:
        iso = volume_rows.ready_image(drive.image, "cdroms", actor.scope, kind="iso") if drive.image else None
        row = add_drive(ctx, vm, drive.bus or BUS[vm.chipset])
        if iso is not None:
            medium = add_medium(ctx, vm, iso)
            lay_in(row, medium)
            yield medium


def address_pool(network: Network) -> AddressPool:
    """Return the addresses that a network assigns."""
    return AddressPool(
        network=IPv4Network(network.cidr),
        first=IPv4Address(network.first_address),
        last=IPv4Address(network.last_address),
    )


def _image(root: NewDisk, scope: Scope) -> Image | None:
    return volume_rows.ready_image(root.image, "image", scope, kind="disk") if root.image is not None else None


def _wants_seed(new: NewVm, image: Image | None) -> bool:
    if new.cloud_init is not None:
        return new.cloud_init
    stated = bool(new.user or new.user_data or new.ssh_keys)
    return stated or (image is not None and image.default_user is not None)


def _user(new: NewVm, image: Image | None) -> str:
    return new.user or (image.default_user if image is not None else None) or USER


def _network(ref: str | None, scope: Scope) -> Network:
    if ref is not None:
        return queries.referenced(Network, ref, "network", scope)
    networks = queries.everything(Network, scope)
    if len(networks) != 1:
        raise InvalidError(f"There are {len(networks)} networks: name one in 'network'.", code="network.not_named")
    return networks[0]


def _vm(ctx: Context, actor: Actor, new: NewVm, flavor: Flavor, image: Image | None, *, user: str | None) -> Vm:
    return insert(
        Vm,
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        name=new.name,
        flavor=flavor,
        image=image,
        desired_state=new.start,
        observed_state="creating",
        vcpus=flavor.vcpus,
        max_vcpus=flavor.max_vcpus,
        memory_mib=flavor.memory_mib,
        max_memory_mib=flavor.max_memory_mib,
        user=user,
        ssh_keys=list(new.ssh_keys),
        created_by=actor.name,
        project=actor.scope.home(),
        description=new.description,
        tags=sorted(set(new.tags)),
        user_data=new.user_data,
        firmware=new.firmware,
        chipset=new.chipset,
        clock=new.clock,
        video=new.video,
        boot=list(new.boot),
    )


def _root(ctx: Context, vm: Vm, root: NewDisk, image: Image | None, flavor: Flavor) -> JsonObject:
    if image is not None and root.size_bytes is None and flavor.disk_bytes < volume_rows.least_for(image):
        raise InvalidError(
            f"Flavor '{flavor.name}' has a disk of {flavor.disk_bytes} bytes, image '{image.name}' needs "
            f"{volume_rows.least_for(image)}: choose a larger flavor, or a size for the root disk.",
            code="flavor.disk_too_small",
        )
    bus = root.bus or ROOT_BUS
    return _own(
        ctx,
        vm,
        0,
        "root",
        volume_rows.size_of(root, image, otherwise=flavor.disk_bytes),
        bus=bus,
        target=next_target(bus, ()),
        pool=volume_rows.pool_for(ctx, root.pool),
        image=image,
    )


def _own(
    ctx: Context,
    vm: Vm,
    number: int,
    role: str,
    size_bytes: int,
    *,
    bus: str,
    target: str | None,
    pool: str | None = None,
    image: Image | None = None,
) -> JsonObject:
    """Return the columns of a volume that is created and deleted with its VM."""
    return {
        "id": ctx.ids.uuid(),
        "created_at": ctx.clock.now(),
        "vm": vm,
        "project": vm.project_id,
        "role": role,
        "bus": bus,
        "target": target,
        "pool": pool or ctx.settings.vm_pool,
        "storage_name": f"vm-{vm.id}-{number}",
        "size_bytes": size_bytes,
        "image": image,
    }


def _nic(ctx: Context, vm: Vm, network: Network, model: str) -> None:
    mac, address = _free(ctx, network)
    insert(
        Nic,
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        vm=vm,
        network=network,
        mac=mac,
        address=str(address),
        model=model,
    )


def _free(ctx: Context, network: Network) -> tuple[str, IPv4Address]:
    """Return a free MAC and address. Raises ConflictError (`network.exhausted`)."""
    pool = address_pool(network)
    for address in ctx.memory.addresses.after_the_last(network.id, pool):
        mac = new_mac(ctx.random)
        if queries.both_are_free(network.id, mac, str(address)):
            break
    else:
        lowest = pool.lowest_free({IPv4Address(taken) for taken in queries.taken_addresses(network)})
        if lowest is None:
            detail = f"Network '{network.name}' has no free address: delete VMs or widen its range."
            raise ConflictError(detail, code="network.exhausted")
        mac, address = new_mac(ctx.random, queries.TakenMacs()), lowest
    ctx.memory.addresses.give(network.id, address)
    return mac, address
