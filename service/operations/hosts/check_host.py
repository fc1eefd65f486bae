"""Check a host, added or not, and report all problems. Changes nothing."""

from __future__ import annotations

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Host
from service.jobs import queue
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.json_types import JsonObject
from service.operations import undo
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.hosts import preflight


def request(ctx: Context, actor: Actor, ref: str) -> str:
    """Enqueue a check of a host of the cloud and return the job's id.

    Raises NotFoundError.
    """
    with transaction(ctx.db):
        host = queries.get(Host, ref, actor.scope)
        args = {"name": host.name, "address": host.address, "ceph_user": host.ceph_user}
        return accept(ctx, actor, OPERATION, host, args=args)


def request_address(ctx: Context, actor: Actor, address: str, *, ceph_user: str | None) -> str:
    """Enqueue a check of any machine; return the job's id."""
    with transaction(ctx.db):
        known = Host.get_or_none(Host.address == address)
        if known is not None:
            return request(ctx, actor, known.id)
        return queue.enqueue(
            ctx,
            OPERATION.kind,
            actor=actor.name,
            request_id=actor.request_id,
            code_version=OPERATION.steps_version,
            args={"name": address, "address": address, "ceph_user": ceph_user},
        )


def run(ctx: Context, job: Job) -> None:
    """Run the checks; the result has the findings, which are stored with a known host."""
    report = job.step("look", _check, ctx, job)
    if job.object_id:
        job.write("record", _record, ctx, job.object_id, report["findings"])
    job.finish_with(report)


OPERATION = Operation(kind="check_host", run=run, steps_version=1, undo={"remove_volume": undo.remove_volume})


def _check(ctx: Context, job: Job) -> JsonObject:
    name, address = job.args["name"], job.args["address"]
    report = preflight.look(ctx, job, name=name, address=address, ceph_user=job.args["ceph_user"])
    return {
        "hostname": report.hostname,
        "fit": not report.failed,
        "findings": preflight.findings(report),
        "hardware": preflight.hardware(report),
    }


def _record(ctx: Context, host_id: str, found: list[dict[str, str]]) -> None:
    Host.update(findings=found, checked_at=ctx.clock.now()).where(Host.id == host_id).execute()
