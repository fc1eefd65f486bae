"""Add a host to the cloud: run all preflight checks and test KVM on it."""

from __future__ import annotations

from dataclasses import dataclass

from service.context import Context
from service.db import change_counter, queries
from service.db.engine.database import transaction
from service.db.tables import Host
from service.errors import ConflictError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.json_types import JsonObject
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.hosts import preflight

OSD_MEMORY_MIB = 4096  # Ceph's default osd_memory_target


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host to be added.

    None means the value reported by the host; for a reservation the likely need of its OSDs. With `force` only the
    checks that nothing works without must pass.
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
    """Enqueue the job and return its id.

    Raises ConflictError when name or address is taken.
    """
    name = new.name or new.address.replace(".", "-")  # until the host reports its own
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
    """Check the host; refuse it if it is unfit, otherwise record its facts."""
    host = queries.by_id(Host, job.object_id)
    report = job.step("look", _check, ctx, job, host)
    preflight.judge(host.name, report["findings"], force=job.args["force"])
    job.write("record", _record, ctx, job, report)
    job.finish_with({key: report[key] for key in ("virt_type", "findings")})


def forget_host(ctx: Context, host_id: str) -> None:
    """Undo the addition: delete the host's row."""
    with transaction(ctx.db):
        Host.delete().where(Host.id == host_id).execute()
        change_counter.note_removed()


OPERATION = Operation(
    kind="add_host", run=run, steps_version=2, undo={"forget_host": forget_host, "remove_volume": undo.remove_volume}
)


def _check(ctx: Context, job: Job, host: Host) -> JsonObject:
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


def _record(ctx: Context, job: Job, report: JsonObject) -> None:
    host = queries.by_id(Host, job.object_id)
    if not job.args["named"]:
        host.name = _free_name(report["hostname"].partition(".")[0], host)
    host.vcpus = host.vcpus or report["hardware"]["cpus"]
    host.memory_mib = host.memory_mib or report["hardware"]["memory_mib"]
    if not job.args["reserved"]:
        host.reserved_memory_mib = _likely_reservation(host)
    host.ceph_user = report["ceph_user"]
    host.machine, host.virt_type = report["machine"], report["virt_type"]
    host.libvirt_uuid, host.hardware, host.findings = report["uuid"], report["hardware"], report["findings"]
    host.checked_at = host.observed_at = ctx.clock.now()
    host.save()
    change_counter.touch([host.id])


def _free_name(name: str, host: Host) -> str:
    """Return the host's own name. Raises ConflictError when another host has it."""
    if Host.select().where((Host.name == name) & (Host.id != host.id)).exists():
        raise ConflictError(f"There is a host '{name}' already: choose a name for this one.", code="host.name_taken")
    return name


def _likely_reservation(host: Host) -> int:
    """Return the memory that the host's OSDs may grow to, at most half of the host's."""
    seen = queries.storage()
    osds = sum(osd["host"] == host.name for osd in seen.osds) if seen else 0
    return int(min(osds * OSD_MEMORY_MIB, host.memory_mib // 2))
