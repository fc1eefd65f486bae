"""The rows of a new VM and of what it is made of, inside the caller's transaction."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from service.context import Context
from service.db import queries, quotas
from service.db.scope import Scope
from service.db.tables import Flavor, Image, Network, Nic, Vm, Volume
from service.errors import ConflictError, InvalidError
from service.hypervisor.spec import NVRAM_BYTES
from service.network.addresses import AddressPool, new_mac
from service.operations import volume_rows
from service.operations.actor import Actor
from service.operations.change_medium import BUS, add_drive, add_medium, lay_in
from service.operations.cloud_init import SEED_BYTES
from service.operations.new_vm import NewDisk, NewVm
from service.operations.targets import next_target

ROOT_BUS = "virtio"
SEED_BUS = "scsi"  # cloud kernels have no AHCI driver
USER = "nacre"


def make_rows(ctx: Context, actor: Actor, new: NewVm) -> Vm:
    """Check what can be checked without asking Ceph or a host; make every row, count it all for the project."""
    if queries.name_is_taken(Vm, new.name, actor.scope.home()):
        raise ConflictError(f"There is a VM '{new.name}' already.", code="vm.name_taken")
    image = _image(new.root, actor.scope)
    flavor = queries.referenced(Flavor, new.flavor, "flavor", actor.scope)
    network = _network(new.network, actor.scope)
    has_seed = _wants_seed(new, image)
    vm = _vm(ctx, actor, new, flavor, image, user=_user(new, image) if has_seed else None)
    _root(ctx, vm, new.root, image, flavor)
    if has_seed:
        _own(ctx, vm, 1, "seed", SEED_BYTES, bus=SEED_BUS, target=next_target(SEED_BUS, volume_rows.targets(vm)))
    if new.firmware == "uefi":
        _own(ctx, vm, 2, "nvram", NVRAM_BYTES, bus=ROOT_BUS, target=None)
    for disk in new.disks:
        name = disk.name or volume_rows.free_name(vm)
        volume_rows.add_data(ctx, vm.project_id, disk, actor.scope, name=name, vm=vm)
    for drive in new.drives:
        iso = volume_rows.ready_image(drive.image, "cdroms", actor.scope, kind="iso") if drive.image else None
        lay_in(add_drive(ctx, vm, drive.bus or BUS[vm.chipset]), add_medium(ctx, vm, iso) if iso else None)
    _nic(ctx, vm, network, new.nic_model)
    quotas.claim(vm.project_id, quotas.of_vm(vm))
    return vm


def address_pool(network: Network) -> AddressPool:
    """The addresses that a network gives out."""
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
    told = bool(new.user or new.user_data or new.ssh_keys)
    return told or (image is not None and image.default_user is not None)


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
    vm: Vm = Vm.create(
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
    return vm


def _root(ctx: Context, vm: Vm, root: NewDisk, image: Image | None, flavor: Flavor) -> None:
    if image is not None and root.size_bytes is None and flavor.disk_bytes < volume_rows.least_for(image):
        raise InvalidError(
            f"Flavor '{flavor.name}' has a disk of {flavor.disk_bytes} bytes, image '{image.name}' needs "
            f"{volume_rows.least_for(image)}: choose a larger flavor, or a size for the root disk.",
            code="flavor.disk_too_small",
        )
    bus = root.bus or ROOT_BUS
    _own(
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
) -> None:
    """A volume that lives and dies with its VM."""
    Volume.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        vm=vm,
        project=vm.project_id,
        role=role,
        bus=bus,
        target=target,
        pool=pool or ctx.settings.vm_pool,
        rbd_name=f"vm-{vm.id}-{number}",
        size_bytes=size_bytes,
        image=image,
    )


def _nic(ctx: Context, vm: Vm, network: Network, model: str) -> None:
    taken = {IPv4Address(address) for address in queries.taken_addresses(network)}
    address = address_pool(network).lowest_free(taken)
    if address is None:
        raise ConflictError(
            f"Network '{network.name}' has no free address: delete VMs or widen its range.", code="network.exhausted"
        )
    Nic.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        vm=vm,
        network=network,
        mac=new_mac(ctx.random, queries.TakenMacs()),
        address=str(address),
        model=model,
    )
