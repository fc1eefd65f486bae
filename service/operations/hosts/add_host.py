"""Take a host into the cloud: look at all that may be wrong with it, and find out whether KVM really works on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.context import Context
from service.db import change_counter, queries
from service.db.engine.database import transaction
from service.db.tables import Host
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.hosts import preflight

OSD_MEMORY_MIB = 4096  # osd_memory_target of a Ceph that nobody has tuned


@dataclass(frozen=True, slots=True)
class NewHost:
    """What is known of a host. None: what the host says of itself; of a reservation: what its OSDs are likely to take.

    With `force` only what nothing works without must be right.
    """

    address: str
    name: str | None = None
    vcpus: int | None = None
    memory_mib: int | None = None
    reserved_vcpus: int | None = None
    reserved_memory_mib: int | None = None
    ceph_user: str | None = None
    force: bool = False


def request(ctx: Context, actor: Actor, new: NewHost) -> str:
    """Enqueue; returns the job's id. Raises ConflictError when name or address is taken."""
    name = new.name or new.address.replace(".", "-")  # until the host tells its own
    with transaction(ctx.db):
        if Host.get_or_none((Host.name == name) | (Host.address == new.address)) is not None:
            raise ConflictError(f"There is a host '{name}' or one at {new.address} already.", code="host.name_taken")
        host = Host.create(
            id=ctx.ids.uuid(),
            created_at=ctx.clock.now(),
            name=name,
            address=new.address,
            state="active",
            vcpus=new.vcpus or 0,
            memory_mib=new.memory_mib or 0,
            reserved_vcpus=new.reserved_vcpus or 0,
            reserved_memory_mib=new.reserved_memory_mib or 0,
            ceph_user=new.ceph_user or "",
        )
        change_counter.touch([host.id])
        args = {"named": new.name is not None, "reserved": new.reserved_memory_mib is not None, "force": new.force}
        return accept(ctx, actor, OPERATION, host, args=args, undo=[("forget_host", host.id)])


def run(ctx: Context, job: Job) -> None:
    """Look; refuse what does not fit; write down what was found."""
    host = queries.by_id(Host, job.object_id)
    told = job.step("look", _look, ctx, job, host)
    preflight.judge(host.name, told["findings"], force=job.args["force"])
    job.write("record", _record, ctx, job, told)
    job.finish_with({key: told[key] for key in ("virt_type", "findings")})


def forget_host(ctx: Context, host_id: str) -> None:
    """The host was not added after all."""
    with transaction(ctx.db):
        Host.delete().where(Host.id == host_id).execute()
        change_counter.note_removed()


OPERATION = Operation(
    kind="add_host", run=run, steps_version=2, undo={"forget_host": forget_host, "remove_volume": undo.remove_volume}
)


def _look(ctx: Context, job: Job, host: Host) -> dict[str, Any]:
    report = preflight.look(ctx, job, name=host.name, address=host.address, ceph_user=host.ceph_user or None)
    return {
        "hostname": report.hostname,
        "uuid": report.uuid,
        "ceph_user": report.ceph_user,
        "virt_type": report.virt_type,
        "machine": report.facts.machine if report.facts else None,
        "hardware": preflight.hardware(report),
        "findings": preflight.findings(report),
    }


def _record(ctx: Context, job: Job, told: dict[str, Any]) -> None:
    host = queries.by_id(Host, job.object_id)
    if not job.args["named"]:
        host.name = _free_name(told["hostname"].partition(".")[0], host)
    host.vcpus = host.vcpus or told["hardware"]["cpus"]
    host.memory_mib = host.memory_mib or told["hardware"]["memory_mib"]
    if not job.args["reserved"]:
        host.reserved_memory_mib = _likely_reservation(host)
    host.ceph_user = told["ceph_user"]
    host.machine, host.virt_type = told["machine"], told["virt_type"]
    host.libvirt_uuid, host.hardware, host.findings = told["uuid"], told["hardware"], told["findings"]
    host.checked_at = host.observed_at = ctx.clock.now()
    host.save()
    change_counter.touch([host.id])


def _free_name(name: str, host: Host) -> str:
    """The host's own name. Raises ConflictError when another host of the cloud has it."""
    if Host.select().where((Host.name == name) & (Host.id != host.id)).exists():
        raise ConflictError(f"There is a host '{name}' already: name this one yourself.", code="host.name_taken")
    return name


def _likely_reservation(host: Host) -> int:
    """What the host's OSDs may grow to, at most half of the host."""
    seen = queries.storage()
    osds = sum(osd["host"] == host.name for osd in seen.osds) if seen else 0
    return int(min(osds * OSD_MEMORY_MIB, host.memory_mib // 2))
