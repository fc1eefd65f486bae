"""Take a host into the cloud: look at it, and find out whether KVM really works on it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from service.context import Context
from service.db import queries
from service.db.database import transaction
from service.db.tables import Host
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.domain_spec import endpoint


@dataclass(frozen=True, slots=True)
class NewHost:
    """What the inventory says of a host. The reservation is for its OSDs."""

    name: str
    address: str
    vcpus: int
    memory_mib: int
    reserved_vcpus: int
    reserved_memory_mib: int
    ceph_user: str


def request(ctx: Context, actor: Actor, new: NewHost) -> str:
    """Enqueue; returns the job's id. Raises ConflictError when name or address is taken."""
    with transaction(ctx.db):
        if Host.get_or_none((Host.name == new.name) | (Host.address == new.address)) is not None:
            raise ConflictError(
                f"There is a host '{new.name}' or one at {new.address} already.", code="host.name_taken"
            )
        host = Host.create(id=ctx.ids.uuid(), created_at=ctx.clock.now(), state="active", **dataclasses.asdict(new))
        return accept(ctx, actor, OPERATION, host, undo=[("forget_host", host.id)])


def run(ctx: Context, job: Job) -> None:
    """Ask the host for its facts; boot a tiny kernel with KVM and believe what happened."""
    host = queries.get(Host, job.object_id)
    hypervisor = ctx.hypervisors.on(endpoint(host))
    machine = job.step("look", lambda: hypervisor.facts().machine)
    virt_type = job.step("probe_kvm", hypervisor.probe_virt_type)
    job.write("record", _record, ctx, host.id, machine, virt_type)
    job.finish_with({"virt_type": virt_type})


def forget_host(ctx: Context, host_id: str) -> None:
    """The host was not added after all."""
    with transaction(ctx.db):
        Host.delete().where(Host.id == host_id).execute()


OPERATION = Operation(kind="add_host", run=run, steps_version=1, undo={"forget_host": forget_host})


def _record(ctx: Context, host_id: str, machine: str, virt_type: str) -> None:
    Host.update(machine=machine, virt_type=virt_type, observed_at=ctx.clock.now()).where(Host.id == host_id).execute()
