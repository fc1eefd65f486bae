"""Measure every VM, one bulk call per host, and what every host was seen to use, into the database of measurements."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import structlog

from service.context import Context
from service.db import measurements
from service.db.engine.database import transaction, unit_of_work
from service.db.measurements import HOSTS, Measure
from service.db.tables import Host, Vm
from service.errors import NacreError
from service.hypervisor.values import DomainStatistics
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations.observe import host_usage
from service.operations.observe.fan_out import Lanes
from service.operations.on_host.domain_spec import endpoint

log = structlog.get_logger(__name__)

PATIENCE_S = 10.0
AT_ONCE = 500
SEEN = (Host.id, Host.name, Host.address, Host.facts, Host.storage, Host.usage, Host.observed_at, Host.problem)
Answer = tuple[datetime, tuple[DomainStatistics, ...]]


def run(ctx: Context, job: Job) -> None:
    """A host that is silent is left out: its VMs have no newer numbers."""
    with unit_of_work(ctx.db):
        hosts = list(Host.select(*SEEN))
        vms = {vm.id: vm for vm in Vm.select(Vm.id, Vm.project_id, Vm.name, Vm.host).where(Vm.host.is_null(False))}
    measures = list(_measures(ctx, hosts, vms))
    now = ctx.clock.now()
    with transaction(ctx.measurements):
        guest_cpus = measurements.record(measures, now)
        measurements.write(HOSTS, now, host_usage.samples(ctx, hosts, guest_cpus, now))
        measurements.tidy(now)
    host_usage.freshen(ctx, job, hosts, now)


OPERATION = Operation(kind="observe_vms", run=run, steps_version=1)


def _measures(ctx: Context, hosts: list[Host], vms: dict[str, Vm]) -> Iterator[Measure]:
    lanes: Lanes[Host, Answer | None] = Lanes(ctx, "measure", lambda host: _ask(ctx, host))
    # One that is silent costs patience; the round that looks at hosts is the first to notice that it is back.
    there = [host for host in hosts if host.problem is None]
    for some in lanes.answers(there, at_once=AT_ONCE, patience_s=PATIENCE_S):
        for host, answer in some:
            if answer is not None:
                yield from _of_host(vms, host, *answer)


def _ask(ctx: Context, host: Host) -> Answer | None:
    asked_at = ctx.clock.now()
    try:
        return asked_at, ctx.hypervisors.on(endpoint(host)).statistics()
    except NacreError as error:  # the round that looks at hosts writes down that it is silent
        log.info("measure.no_answer", host=host.name, reason=error.detail)
        return None


def _of_host(
    vms: dict[str, Vm], host: Host, asked_at: datetime, domains: tuple[DomainStatistics, ...]
) -> Iterator[Measure]:
    """Only of VMs that are ours, and where they should be: during a move two hosts know one."""
    for domain in domains:
        vm = vms.get(domain.vm_id)
        if vm is not None and vm.host_id == host.id:
            yield Measure(
                vm_id=vm.id,
                project_id=vm.project_id,
                name=vm.name,
                host=host.name,
                measured_at=asked_at,
                statistics=domain,
            )
