"""From the past of every host to what is to be expected of it; the past of what is no more is given up."""

from __future__ import annotations

from service.context import Context
from service.db import measurements
from service.db.engine.database import transaction, unit_of_work
from service.db.measurements import HOSTS, VMS
from service.db.tables import Host, Vm
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.observe import host_usage


def run(ctx: Context, job: Job) -> None:
    """A host of which too little is known has no forecast, which is neither good nor bad."""
    now = ctx.clock.now()
    with unit_of_work(ctx.db):
        hosts, vms = ([row.id for row in table.select(table.id)] for table in (Host, Vm))
    with transaction(ctx.measurements):
        measurements.forget(HOSTS, hosts)
        measurements.forget(VMS, vms)
    host_usage.keep(job, host_usage.outlooks(ctx, now), now)
    with job.transaction():
        Host.update(usage_observed_at=now).where(Host.usage.is_null(False)).execute()


OPERATION = Operation(kind="forecast_usage", run=run, steps_version=1)
