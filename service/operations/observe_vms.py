"""Measure every VM: one bulk call per host, all hosts at once, into the database of measurements."""

from __future__ import annotations

import dataclasses
import functools
import threading
from datetime import datetime

import structlog

from service.context import Context
from service.db import measurements, queries
from service.db.database import transaction, unit_of_work
from service.db.measurements import Measure
from service.db.scope import EVERYTHING
from service.db.tables import Host, Vm
from service.errors import NacreError
from service.hypervisor.values import DomainStatistics
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.logs import carried
from service.operations.domain_spec import endpoint

log = structlog.get_logger(__name__)

PATIENCE_S = 10.0
Answers = dict[str, tuple[datetime, tuple[DomainStatistics, ...]]]


def run(ctx: Context, job: Job) -> None:
    """A host that is silent is left out: its VMs have no newer numbers."""
    del job
    with unit_of_work(ctx.db):
        hosts = queries.everything(Host, EVERYTHING)
        vms = {vm.id: vm for vm in Vm.select().where(Vm.host.is_null(False))}
    answers = _ask_all(ctx, hosts)
    measures = [measure for host in hosts if host.id in answers for measure in _measures(vms, host, *answers[host.id])]
    with transaction(ctx.measurements):
        measurements.record(measures)
        measurements.tidy(ctx.clock.now())


OPERATION = Operation(kind="observe_vms", run=run, steps_version=1)


def _ask_all(ctx: Context, hosts: list[Host]) -> Answers:
    answers: Answers = {}
    all_asked = threading.Event()
    left = [host.id for host in hosts]

    def ask(host: Host) -> None:
        _ask(ctx, host, answers)
        left.remove(host.id)
        if not left:
            all_asked.set()

    for host in hosts:
        ctx.threads.start(f"measure-{host.name}", carried(functools.partial(ask, host)))
    if hosts:
        ctx.clock.wait(all_asked, PATIENCE_S)
    return dict(answers)


def _ask(ctx: Context, host: Host, answers: Answers) -> None:
    asked_at = ctx.clock.now()
    try:
        answers[host.id] = asked_at, ctx.hypervisors.on(endpoint(host)).statistics()
    except NacreError as error:  # the round that looks at hosts writes down that it is silent
        log.info("measure.no_answer", host=host.name, reason=error.detail)


def _measures(
    vms: dict[str, Vm], host: Host, asked_at: datetime, domains: tuple[DomainStatistics, ...]
) -> list[Measure]:
    """Only of VMs that are ours, and where they should be: during a move two hosts know one."""
    return [
        Measure(
            vm_id=vm.id,
            project_id=vm.project_id,
            name=vm.name,
            host=host.name,
            measured_at=asked_at,
            statistics=dataclasses.asdict(domain),
        )
        for domain in domains
        if (vm := vms.get(domain.vm_id)) is not None and vm.host == host
    ]
