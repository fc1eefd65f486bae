"""Add a pool of the storage cluster to Nacre, after checking that it works."""

from __future__ import annotations

from collections.abc import Collection

from service.context import Context
from service.db.engine.database import transaction
from service.db.tables import Pool
from service.jobs import queue
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import audit
from service.operations.actor import Actor


def request(ctx: Context, actor: Actor, name: str, uses: Collection[str]) -> str:
    """Enqueue the job and return its id. `uses` are "vms", "images" or both."""
    with transaction(ctx.db):
        audit.record(ctx, actor, OPERATION.kind, "pool", Pool(name=name), uses=sorted(uses))
        return queue.enqueue(
            ctx,
            OPERATION.kind,
            actor=actor.name,
            request_id=actor.request_id,
            code_version=OPERATION.steps_version,
            object_kind="pool",
            object_id=name,
            args={"uses": sorted(uses)},
        )


def run(ctx: Context, job: Job) -> None:
    """Check the pool, then mark it as in use."""
    job.step("check", ctx.storage.check_pool, job.object_id)
    job.write("record", _record, job.object_id, job.args["uses"])


OPERATION = Operation(kind="add_pool", run=run, steps_version=1)


def _record(name: str, uses: list[str]) -> None:
    marks = {"for_vms": "vms" in uses, "for_images": "images" in uses}
    if not Pool.update(**marks).where(Pool.name == name).execute():
        Pool.insert(name=name, **marks).execute()  # not observed yet; the next observation adds its facts
