"""Look at every host at once and write down what is seen: of the host, and of the VMs that should be on it.

Only a VM that no job was at work on since the look began is judged: what a job does to it is the job's to record, and
what was seen before its end may be over.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.context import Context
from service.db import queries
from service.db.scope import EVERYTHING
from service.db.tables import Host
from service.errors import NacreError
from service.hypervisor.contract import DomainState
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import changes, strays, vm_rows
from service.operations.busy import busy_ids
from service.operations.domain_spec import endpoint

# A host that does not answer by then is written down as silent; the next look tries again.
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What one host answered, and when: its domains, or why there was no answer."""

    seen_at: datetime
    domains: tuple[DomainState, ...] | None
    problem: str | None


def run(ctx: Context, job: Job) -> None:
    """One thread per host, so that a silent one delays nobody."""
    hosts = queries.everything(Host, EVERYTHING)
    ctx.hypervisors.keep([endpoint(host) for host in hosts])
    began = ctx.clock.now()
    silent = Sight(began, None, f"no answer within {PATIENCE_S:.0f} s")
    sights = look_at_all(ctx, hosts)
    with job.transaction():
        busy = busy_ids(since=began)
        for host in hosts:
            _record(ctx, host, sights.get(host.id, silent), busy)


OPERATION = Operation(kind="observe_hosts", run=run, steps_version=1)


def look_at_all(ctx: Context, hosts: list[Host]) -> dict[str, Sight]:
    """Host id → what it answered; without those that have not by PATIENCE_S."""
    sights: dict[str, Sight] = {}
    all_seen = threading.Event()

    def look(host: Host) -> None:
        sights[host.id] = _look(ctx, host)
        if len(sights) == len(hosts):
            all_seen.set()

    for host in hosts:
        ctx.threads.start(f"observe-{host.name}", functools.partial(look, host))
    if hosts:
        ctx.clock.wait(all_seen, PATIENCE_S)
    return dict(sights)


def _look(ctx: Context, host: Host) -> Sight:
    asked_at = ctx.clock.now()
    try:
        return Sight(asked_at, ctx.hypervisors.on(endpoint(host)).domains(), None)
    except NacreError as error:
        return Sight(asked_at, None, error.detail)


def _record(ctx: Context, host: Host, sight: Sight, busy: frozenset[str]) -> None:
    if sight.domains is None:
        changes.observe_host(ctx, host, problem=sight.problem)
        return
    facts = _host_facts(host, sight.domains, sight.seen_at)
    facts |= {"strays": strays.strays(host, sight.domains, busy), "foreign": strays.foreign(sight.domains)}
    changes.observe_host(ctx, host, facts=facts, observed_at=sight.seen_at, problem=None)
    seen = {domain.vm_id: domain for domain in sight.domains}
    for vm in queries.vms_on(host):
        if vm.id in busy:
            continue
        if vm.id in seen:
            vm_rows.observe(ctx, vm.id, seen[vm.id].state)
        else:
            vm_rows.take_off(ctx, vm.id)


def _host_facts(host: Host, domains: tuple[DomainState, ...], now: datetime) -> dict[str, Any]:
    """`cpu_load` is the share of the host's vCPUs that its guests burnt since the last look; None at the first."""
    cpu_time_s = sum(domain.cpu_time_s for domain in domains)
    before = host.facts or {}
    load = None
    if host.observed_at is not None and "cpu_time_s" in before:
        elapsed_s = (now - host.observed_at).total_seconds()
        # A domain that ended took its counter with it: no number is better than a negative one.
        burnt_s = max(0.0, cpu_time_s - before["cpu_time_s"])
        load = round(min(1.0, burnt_s / (elapsed_s * host.vcpus)), 4) if elapsed_s > 0 and host.vcpus else None
    return {
        "cpu_time_s": cpu_time_s,
        "cpu_load": load,
        "domains": len(domains),
        "used_vcpus": sum(domain.vcpus for domain in domains),
        "used_memory_mib": sum(domain.memory_mib for domain in domains),
    }
