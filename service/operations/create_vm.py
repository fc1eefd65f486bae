"""Make a VM and start it: clone → seed → start. All of it, or nothing is left."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Flavor, Image, Network, Nic, Vm, Volume
from service.errors import ConflictError, InvalidError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.network.addresses import AddressPool, new_mac
from service.operations import undo, vm_rows
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.cloud_init import SEED_BYTES, Seed, build_iso
from service.operations.start_vm import start_domain
from storage.refs import ImageRef, VolumeRef

ROOT_TARGET = "vda"
SEED_TARGET = "sda"


@dataclass(frozen=True, slots=True)
class NewVm:
    """What is asked for. `network` None means the only one; `user` None means the image's."""

    name: str
    image: str
    flavor: str
    network: str | None
    user: str | None
    ssh_keys: tuple[str, ...]


def request(ctx: Context, actor: Actor, new: NewVm) -> str:
    """Check, place, claim and enqueue in one transaction; returns the job's id."""
    with transaction(ctx.db):
        vm = _create_rows(ctx, actor, new)
        host = vm_rows.claim_host(ctx, vm)
        vm_rows.put_on(vm, host)
        return accept(ctx, actor, OPERATION, vm, undo=[("forget_vm", vm.id)], host=host.name)


def run(ctx: Context, job: Job) -> None:
    """Clone the image, write the seed, start the domain."""
    vm = queries.get(Vm, job.object_id)
    volumes = {volume.role: volume for volume in queries.volumes(vm)}
    root, seed = volumes["root"], volumes["seed"]
    with job.undo() as undo_stack:
        undo_stack.push("remove_volume", root.pool, root.rbd_name)
        job.step("clone", _clone, ctx, vm, root, job.id)
        undo_stack.push("remove_volume", seed.pool, seed.rbd_name)
        job.step("seed", _write_seed, ctx, vm, seed, job.id)
        undo_stack.push("force_off", vm.id, queries.host_of(vm).id)
        job.step("start", start_domain, ctx, vm, job.id)
        job.write("record", vm_rows.observe, ctx, vm.id, "running")


OPERATION = Operation(
    kind="create_vm",
    run=run,
    steps_version=1,
    undo={"remove_volume": undo.remove_volume, "force_off": undo.force_off, "forget_vm": undo.forget_vm},
)


def _create_rows(ctx: Context, actor: Actor, new: NewVm) -> Vm:
    if queries.find(Vm, new.name) is not None:
        raise ConflictError(f"There is a VM '{new.name}' already.", code="vm.name_taken")
    image = _ready_image(new.image)
    flavor = queries.referenced(Flavor, new.flavor, "flavor")
    network = _network(new.network)
    _check_disk_fits(ctx, image, flavor)
    vm = Vm.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        name=new.name,
        flavor=flavor,
        image=image,
        desired_state="running",
        observed_state="creating",
        vcpus=flavor.vcpus,
        max_vcpus=flavor.max_vcpus,
        memory_mib=flavor.memory_mib,
        max_memory_mib=flavor.max_memory_mib,
        user=new.user or image.default_user,
        ssh_keys=list(new.ssh_keys),
        created_by=actor.name,
    )
    _add_volume(ctx, vm, 0, "root", ROOT_TARGET, flavor.disk_bytes)
    _add_volume(ctx, vm, 1, "seed", SEED_TARGET, SEED_BYTES)
    _add_nic(ctx, vm, network)
    return vm


def _ready_image(ref: str) -> Image:
    image = queries.referenced(Image, ref, "image")
    if image.state != "ready":
        raise ConflictError(f"Image '{image.name}' is {image.state}: wait until it is ready.", code="image.not_ready")
    return image


def _network(ref: str | None) -> Network:
    if ref is not None:
        return queries.referenced(Network, ref, "network")
    networks = queries.everything(Network)
    if len(networks) != 1:
        raise InvalidError(f"There are {len(networks)} networks: name one in 'network'.", code="network.not_named")
    return networks[0]


def _check_disk_fits(ctx: Context, image: Image, flavor: Flavor) -> None:
    if flavor.disk_bytes < image.size_bytes:
        raise InvalidError(
            f"Flavor '{flavor.name}' has a disk of {flavor.disk_bytes} bytes, image '{image.name}' needs "
            f"{image.size_bytes}: choose a larger flavor.",
            code="flavor.disk_too_small",
        )
    pool = queries.pool(ctx.settings.vm_pool)
    if pool is not None and pool.facts["full"]:
        raise ConflictError(
            f"Pool '{pool.name}' is full: delete VMs or add disks before you create more.", code="pool.full"
        )


def _add_volume(ctx: Context, vm: Vm, number: int, role: str, target: str, size_bytes: int) -> None:
    Volume.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        vm=vm,
        role=role,
        target=target,
        pool=ctx.settings.vm_pool,
        rbd_name=f"vm-{vm.id}-{number}",
        size_bytes=size_bytes,
    )


def _add_nic(ctx: Context, vm: Vm, network: Network) -> None:
    taken = {IPv4Address(address) for address in queries.taken_addresses(network)}
    address = _address_pool(network).lowest_free(taken)
    if address is None:
        raise ConflictError(
            f"Network '{network.name}' has no free address: delete VMs or widen its range.", code="network.exhausted"
        )
    Nic.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        vm=vm,
        network=network,
        mac=new_mac(ctx.random, queries.taken_macs()),
        address=str(address),
    )


def _address_pool(network: Network) -> AddressPool:
    return AddressPool(
        network=IPv4Network(network.cidr),
        first=IPv4Address(network.first_address),
        last=IPv4Address(network.last_address),
    )


def _clone(ctx: Context, vm: Vm, root: Volume, job_id: str) -> None:
    image = ImageRef(vm.image.pool, vm.image.rbd_name)
    ctx.storage.clone(image, VolumeRef(root.pool, root.rbd_name), size_bytes=root.size_bytes, job_id=job_id)


def _write_seed(ctx: Context, vm: Vm, volume: Volume, job_id: str) -> None:
    nic = queries.nics(vm)[0]
    seed = Seed(
        instance_id=vm.id,
        hostname=vm.name,
        user=vm.user,
        ssh_keys=tuple(vm.ssh_keys),
        mac=nic.mac,
        address=str(_address_pool(nic.network).interface(IPv4Address(nic.address))),
        gateway=nic.network.gateway,
        dns=tuple(nic.network.dns),
    )
    ref = VolumeRef(volume.pool, volume.rbd_name)
    ctx.storage.create_volume(ref, size_bytes=volume.size_bytes, job_id=job_id)
    ctx.storage.write(ref, build_iso(seed))
