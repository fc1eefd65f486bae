"""Create a VM and start it: volumes → seed → start; all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from pathlib import Path

from service.context import Context
from service.db import queries
from service.db.engine.database import part, transaction
from service.db.tables import Vm, Volume
from service.errors import ConflictError, FieldError, InvalidError
from service.hypervisor.spec import UEFI_VARIABLES
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import state_changes, undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.placement import algorithms
from service.operations.placement.choose_host import claim_host
from service.operations.rows import vm_rows, volume_rows
from service.operations.rows.new_vm import NewVm
from service.operations.vms.cloud_init import Seed, build_iso
from service.operations.vms.new_vm_rows import address_pool, make_rows
from service.operations.vms.start_vm import start_domain

LONGEST_NAME = 63
ROLES = ("root", "data", "medium", "nvram", "seed")


def request(ctx: Context, actor: Actor, new: NewVm) -> str:
    """Check, place, claim and enqueue in one transaction; return the job's id."""
    with transaction(ctx.db):
        _check_firmware(new)
        algorithm = algorithms.asked_by(ctx, actor, new.placement_algorithm)
        vm, volumes = make_rows(ctx, actor, new)
        host = None
        if new.start != "stopped":
            host = claim_host(ctx, vm, algorithm=algorithm)
            vm_rows.put_on(vm, host)
        undo = [("forget_vm", vm.id), *(("remove_volume", volume.pool, volume.storage_name) for volume in volumes)]
        host_name = host.name if host is not None else None
        return accept(ctx, actor, OPERATION, vm, undo=undo, is_as_written=True, host=host_name)


@dataclass(frozen=True, slots=True)
class Batch:
    """Result of request_many().

    It has the jobs of the placed VMs, and why the next one was not: a sentence, and reasons per host.
    """

    jobs: tuple[str, ...]
    why_not_all: str | None = None
    reasons: Mapping[str, list[str]] = field(default_factory=dict)


def request_many(ctx: Context, actor: Actor, new: NewVm, count: int, *, as_many_as_fit: bool = False) -> Batch:
    """Create VMs name-1 to name-N, each placed after the others.

    All or none, unless `as_many_as_fit` (at least one). Raises ConflictError, InvalidError.
    """
    names = [f"{new.name}-{number}" for number in range(1, count + 1)]
    if len(names[-1]) > LONGEST_NAME:
        text = f"'{names[-1]}' would be longer than {LONGEST_NAME} characters"
        raise InvalidError(f"The name is too long: {text}.", errors=(FieldError("name", text),))
    jobs: list[str] = []
    with transaction(ctx.db):
        for name in names:
            try:
                with part(ctx.db) if as_many_as_fit and jobs else nullcontext():
                    jobs.append(request(ctx, actor, replace(new, name=name)))
            except ConflictError as full:
                if full.code != "placement.no_host" or not (as_many_as_fit and jobs):
                    raise
                ctx.placer.doubt()
                return Batch(tuple(jobs), full.detail, full.reasons)
    return Batch(tuple(jobs))


def run(ctx: Context, job: Job) -> None:
    """Create the volumes, write the seed, start the domain."""
    vm = queries.by_id(Vm, job.object_id)
    for volume in sorted(queries.volumes(vm), key=_place_in_line):
        job.step(_step_name(volume), _make, ctx, vm, volume, job.id)
    if vm.host is not None:
        with job.undo() as undo_stack:
            undo_stack.before_next_step("force_off", vm.id, vm.host.id)
            job.step("start", start_domain, ctx, vm, job.id)
    job.write_last("record", _record, ctx, vm.id, vm.desired_state)


OPERATION = Operation(
    kind="create_vm",
    run=run,
    steps_version=2,
    undo={"remove_volume": undo.remove_volume, "force_off": undo.force_off, "forget_vm": undo.forget_vm},
)


def _check_firmware(new: NewVm) -> None:
    if new.firmware == "uefi" and not Path(UEFI_VARIABLES).is_file():
        text = f"the server has no UEFI variables: {UEFI_VARIABLES} is missing (install the package ovmf)"
        raise InvalidError(f"UEFI: {text}.", code="vm.no_uefi", errors=(FieldError("firmware", text),))


def _place_in_line(volume: Volume) -> tuple[int, str]:
    """Return the sort key of a volume; the clone, which fails most often, is first."""
    return ROLES.index(volume.role), volume.target or ""


def _step_name(volume: Volume) -> str:
    if volume.role == "root":
        return "clone" if volume.image is not None else "make_root"
    if volume.role == "medium":
        return str(volume.storage_name)
    return f"make_{volume.target}" if volume.role == "data" else str(volume.role)


def _make(ctx: Context, vm: Vm, volume: Volume, job_id: str) -> None:
    volume_rows.make(ctx, volume, job_id)
    if volume.role == "seed":
        ctx.storage.write(volume_rows.ref(volume), build_iso(_seed(vm)))
    elif volume.role == "nvram":
        ctx.storage.write(volume_rows.ref(volume), Path(UEFI_VARIABLES).read_bytes())


def _seed(vm: Vm) -> Seed:
    nic = queries.nics(vm)[0]
    return Seed(
        instance_id=vm.id,
        hostname=vm.name,
        user=str(vm.user),
        ssh_keys=tuple(vm.ssh_keys),
        mac=nic.mac,
        address=str(address_pool(nic.network).interface(IPv4Address(nic.address))),
        gateway=nic.network.gateway,
        dns=tuple(nic.network.dns),
        user_data=vm.user_data,
    )


def _record(ctx: Context, vm_id: str, state: str) -> None:
    Volume.update(state="ready").where((Volume.vm == vm_id) & (Volume.state == "creating")).execute()
    state_changes.change_vm(ctx, vm_id, observed_state=state, observed_at=ctx.clock.now())
