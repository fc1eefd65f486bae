"""Look at the storage cluster and write down what is seen."""

from __future__ import annotations

import dataclasses

import structlog

from service.context import Context
from service.db.tables import Pool, Storage
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.observe import host_storage
from storage.errors import UnreachableError
from storage.facts import HostStorage, OsdFacts, PoolFacts, StorageHealth

log = structlog.get_logger(__name__)


def run(ctx: Context, job: Job) -> None:
    """Health, pools, OSDs, and hosts by their OSDs. Without an answer the job fails and the facts grow old."""
    health, pools, (osds, hosts) = ctx.storage.health(), ctx.storage.pools(), _counted(ctx)
    with job.transaction():
        _record(ctx, health, pools, osds)
        if hosts is not None:
            host_storage.record(ctx, hosts)


OPERATION = Operation(kind="observe_storage", run=run, steps_version=1)


def _counted(ctx: Context) -> tuple[tuple[OsdFacts, ...], tuple[HostStorage, ...] | None]:
    """What only a manager counts: without one no OSD is known, and the hosts' facts stay as old as they are."""
    osds: tuple[OsdFacts, ...] = ()
    try:
        osds = ctx.storage.osds()
        return osds, ctx.storage.hosts(osds)
    except UnreachableError as error:
        log.warning("observe_storage.not_counted", reason=str(error))  # the monitors' health says so by itself
        return osds, None


def _record(ctx: Context, health: StorageHealth, pools: tuple[PoolFacts, ...], osds: tuple[OsdFacts, ...]) -> None:
    now = ctx.clock.now()
    Storage.delete().execute()
    Storage.create(
        id=1, health=dataclasses.asdict(health), osds=[dataclasses.asdict(osd) for osd in osds], observed_at=now
    )
    for pool in pools:
        seen = {"facts": dataclasses.asdict(pool), "observed_at": now}
        if not Pool.update(**seen).where(Pool.name == pool.name).execute():
            Pool.insert(name=pool.name, **seen).execute()
    # One that is in use and gone stays, with facts that grow old: it is missed, not forgotten.
    unused = (Pool.for_vms == False) & (Pool.for_images == False)  # noqa: E712 - an expression of the database
    Pool.delete().where(unused & Pool.name.not_in([pool.name for pool in pools])).execute()
