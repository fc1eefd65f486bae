"""Adopt a running VM that was not created by Nacre and has its disks on RBD.

It runs unchanged and is read-only until it is confirmed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from service.context import Context
from service.db import allocations, queries, quotas
from service.db.engine.database import transaction
from service.db.tables import Drive, Flavor, Host, Image, Network, Nic, Vm, Volume
from service.errors import ConflictError, InvalidError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.json_types import JsonObject
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.catalogue.remove_pool import own_pools
from service.operations.on_host.domain_spec import endpoint
from service.operations.placement.choose_host import host_facts
from service.operations.rows import volume_rows
from service.operations.rows.sizes import memory_on_host
from storage.refs import VolumeInfo, VolumeRef

CHIPSETS = {"q35": "-q35-", "pc": "-i440fx-"}


@dataclass(frozen=True, slots=True)
class Adoption:
    """A domain to adopt, by UUID and host, and its name. `addresses` are by MAC."""

    host: str
    domain: str
    name: str
    flavor: str | None = None
    addresses: dict[str, str] = field(default_factory=dict)


def request(ctx: Context, actor: Actor, new: Adoption) -> str:
    """Enqueue the job and return its id.

    Raises NotFoundError, ConflictError (`vm.name_taken`, `vm.adopted`).
    """
    with transaction(ctx.db):
        host = queries.get(Host, new.host, actor.scope)
        if host.virt_type is None:  # its own job may still find it unfit and delete it
            raise ConflictError(f"Host '{host.name}' is still being checked: wait for that job.", code="host.busy")
        _check_free(new.domain, new.name, actor.scope.home())
        flavor = queries.referenced(Flavor, new.flavor, "flavor", actor.scope).id if new.flavor else None
        args = {**asdict(new), "flavor": flavor, "project_id": actor.scope.home()}
        return accept(ctx, actor, OPERATION, host, args=args)


def run(ctx: Context, job: Job) -> None:
    """Inspect the domain and its disks, then record them."""
    host = queries.by_id(Host, job.object_id)
    found = job.step("look", _look, ctx, host, job.args["domain"])
    job.write("record", _record, ctx, job, found)
    job.finish_with({"vm_id": found["vm_id"], "name": job.args["name"]})


OPERATION = Operation(kind="adopt_vm", run=run, steps_version=1)


def _check_free(vm_id: str, name: str, project_id: str) -> None:
    if queries.find_by_id(Vm, vm_id) is not None:
        raise ConflictError(f"Domain {vm_id} is a VM of this cloud already.", code="vm.adopted")
    if queries.name_is_taken(Vm, name, project_id):
        raise ConflictError(f"There is a VM '{name}' already.", code="vm.name_taken")


def _look(ctx: Context, host: Host, vm_id: str) -> JsonObject:
    """Return the domain as plain data, with the sizes of its disks.

    Raises ConflictError (`vm.not_adoptable`) with reasons.
    """
    found = ctx.hypervisors.on(endpoint(host)).definition(vm_id)
    hindrances, sizes = list(found.hindrances), {}
    for disk in found.disks:
        if disk.volume is None:
            continue
        if disk.device == "cdrom":
            hindrances.append(f"there is a medium in drive {disk.target}: eject it")
        else:
            volume = ctx.storage.volume(disk.volume)
            sizes[disk.target] = volume.size_bytes if volume else 0
            hindrances += _against(str(disk.volume), volume)
    if not sizes:
        hindrances.append("it has no disk on RBD")
    if hindrances:
        detail = f"Domain {found.name} cannot be adopted: {'; '.join(hindrances)}."
        raise ConflictError(detail, code="vm.not_adoptable")
    return {**asdict(found), "sizes": sizes, "disks": [asdict(d) for d in found.disks], "nics": _plain(found.nics)}


def _against(name: str, volume: VolumeInfo | None) -> list[str]:
    """Return the reasons against adopting a disk.

    A confirmed VM's disks are deleted with it, so they must be of this cluster and used by this domain only.
    """
    if volume is None:
        return [f"the control plane finds no {name}"]
    if not volume.watchers:
        return [f"{name} of this cluster is not open: the domain's disk is of another cluster"]
    if len(volume.watchers) > 1:
        return [f"{name} is open {len(volume.watchers)} times: other clients use it, too"]
    return []


def _plain(values: tuple[Any, ...]) -> list[JsonObject]:
    return [asdict(value) for value in values]


def _record(ctx: Context, job: Job, found: JsonObject) -> None:
    host, args = queries.by_id(Host, job.object_id), job.args
    _check_free(found["vm_id"], args["name"], args["project_id"])  # again: it may have changed since the request
    vm: Vm = Vm.create(
        id=found["vm_id"],
        created_at=ctx.clock.now(),
        name=args["name"],
        project=args["project_id"],
        flavor=args["flavor"] or _alike(found),
        host=host,
        desired_state="running",
        observed_state="running",
        observed_at=ctx.clock.now(),
        virt_type=found["virt_type"],
        machine=found["machine"],
        chipset=next(name for name, part in CHIPSETS.items() if part in found["machine"]),
        clock=found["clock"] if found["clock"] in ("utc", "localtime") else "utc",
        vcpus=found["vcpus"],
        max_vcpus=found["max_vcpus"],
        memory_mib=found["memory_mib"],
        max_memory_mib=found["max_memory_mib"],
        ssh_keys=[],
        created_by=job.actor,
        managed=False,
    )
    _add_disks(ctx, vm, found)
    _add_nics(ctx, vm, found["nics"], args["addresses"])
    quotas.claim(vm.project_id, quotas.of_vm(vm))
    _claim(ctx, vm, host)


def _alike(found: JsonObject) -> str:
    """Return the name of a flavor of the same size; the VM keeps its own numbers."""
    same = (Flavor.vcpus == found["vcpus"]) & (Flavor.memory_mib == found["memory_mib"])
    flavor = Flavor.select().where(same).order_by(Flavor.name).first()
    if flavor is None:
        detail = f"No flavor has {found['vcpus']} vCPU and {found['memory_mib']} MiB: name one, or create it."
        raise InvalidError(detail, code="flavor.not_named")
    return str(flavor.id)


def _add_disks(ctx: Context, vm: Vm, found: JsonObject) -> None:
    disks = [disk for disk in found["disks"] if disk["device"] == "disk"]
    for number, disk in enumerate(disks):
        volume = VolumeRef(**disk["volume"])
        if queries.pool(volume.pool) is None and volume.pool not in own_pools(ctx):
            raise ConflictError(
                f"Pool '{volume.pool}' is not in use: 'nacre pool add' it first.", code="pool.not_found"
            )
        for table, kind in ((Volume, "a volume"), (Image, "an image")):
            if table.get_or_none(table.storage_name == volume.name) is not None:  # unique over all pools
                detail = f"{volume}: {kind} of this cloud has that name already."
                raise ConflictError(detail, code="volume.name_taken")
        Volume.create(
            id=ctx.ids.uuid(),
            created_at=ctx.clock.now(),
            vm=vm,
            project=vm.project_id,
            role="data" if number else "root",
            name=volume_rows.free_name(vm) if number else None,
            target=disk["target"],
            bus=disk["bus"],
            pool=volume.pool,
            storage_name=volume.name,
            size_bytes=found["sizes"][disk["target"]],
        )
    for drive in (disk for disk in found["disks"] if disk["device"] == "cdrom"):
        Drive.create(id=ctx.ids.uuid(), created_at=ctx.clock.now(), vm=vm, target=drive["target"], bus=drive["bus"])


def _add_nics(ctx: Context, vm: Vm, nics: list[JsonObject], addresses: dict[str, str]) -> None:
    for nic in nics:
        network = Network.get_or_none(Network.bridge == nic["bridge"])
        if network is None:
            detail = f"No network is on bridge '{nic['bridge']}': 'nacre network create' one first."
            raise ConflictError(detail, code="network.not_found")
        address = addresses.get(nic["mac"])
        taken = Nic.mac == nic["mac"]
        if address is not None:
            taken |= (Nic.network == network) & (Nic.address == address)
        if Nic.select().where(taken).exists():
            raise ConflictError(f"{nic['mac']} or {address} is another VM's already.", code="network.address_taken")
        Nic.create(
            id=ctx.ids.uuid(),
            created_at=ctx.clock.now(),
            vm=vm,
            network=network,
            mac=nic["mac"],
            model=nic["model"],
            address=address,
        )


def _claim(ctx: Context, vm: Vm, host: Host) -> None:
    (facts,), needed_mib = host_facts(ctx, [host]), memory_on_host(ctx, vm.memory_mib)
    if vm.vcpus > facts.free_vcpus or needed_mib > facts.free_memory_mib:
        need = f"Host '{host.name}' has not enough free capacity"
        raise ConflictError(f"{need}: raise its vcpus or memory with 'nacre host set'.", code="host.overcommitted")
    allocations.hold(
        allocation_id=ctx.ids.uuid(),
        vm=vm,
        host_id=host.id,
        vcpus=vm.vcpus,
        memory_mib=needed_mib,
        now=ctx.clock.now(),
    )
