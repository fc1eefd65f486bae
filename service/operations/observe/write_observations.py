"""Write down what observations have found: of the hosts, and of the VMs that should be on them.

A few hosts at a time, each time in a transaction of its own, so that no other writer waits for a whole round.
What has not changed beyond rounding is not written, but for the time. Only a VM that no job was at work on since the
look began is judged: what a job does to it is the job's to record, and what was seen before its end may be over.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service.context import Context
from service.db import change_counter
from service.db.engine.bulk import set_each
from service.db.tables import Host, Vm
from service.hypervisor.contract import DomainState
from service.hypervisor.host_backoff import Remembered
from service.jobs.job import Job
from service.json_types import JsonObject
from service.operations import state_changes
from service.operations.busy import busy_among
from service.operations.observe import observation, strays
from service.operations.observe.observation import Answer, Sight, Sights
from service.operations.rows import vm_rows

HOSTS_AT_ONCE = 100
DOMAINS_AT_ONCE = 500
IDS_AT_ONCE = 500
LOADS_KEPT_S = 60.0
LONGEST_PAUSE_S = 0.02
LOOKED_AT = (Vm.id, Vm.name, Vm.host, Vm.epoch, Vm.observed_state)


@dataclass(slots=True)
class _Chunk:
    """What is known and found of the hosts that are written together."""

    hosts: dict[str, Host]
    vms: dict[str, Vm]  # those that should be on these hosts, and those that are
    placed: dict[str | None, list[Vm]]  # host id → those that should be there
    busy: frozenset[str]
    facts: JsonObject = field(default_factory=dict)
    hardware: JsonObject = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)  # hosts that answered
    changed: set[str] = field(default_factory=set)
    alike: list[str] = field(default_factory=list)  # VMs seen in the state they were in


def write(ctx: Context, job: Job, sights: Sights, *, began: datetime) -> None:
    """`began`: when the first of these looks did. Raises LostLeaseError."""
    for some in _chunks(sights):
        began_s = ctx.clock.monotonic()
        with job.transaction():
            _write(ctx, some, began)
        _let_others_write(ctx, ctx.clock.monotonic() - began_s)


def _let_others_write(ctx: Context, held_s: float) -> None:
    """The lock is free for a moment: another process that waits for SQLite's looks only now and then."""
    ctx.clock.wait(threading.Event(), min(held_s, LONGEST_PAUSE_S))


def _chunks(sights: Sights) -> Iterator[Sights]:
    """At most so many hosts and domains together; a host is never parted."""
    some: list[tuple[str, Sight]] = []
    domains = 0
    for host_id, sight in sights:
        here = len(sight.answer.domains) if sight.answer else 0
        if some and (len(some) == HOSTS_AT_ONCE or domains + here > DOMAINS_AT_ONCE):
            yield some
            some, domains = [], 0
        some.append((host_id, sight))
        domains += here
    if some:
        yield some


def _write(ctx: Context, sights: Sights, began: datetime) -> None:
    chunk = _read(sights, began)
    for host_id, sight in sights:
        host = chunk.hosts.get(host_id)
        if host is None:  # removed meanwhile
            continue
        if sight.answer is None:
            _silent(ctx, chunk, host, sight)
        else:
            _answered(ctx, chunk, host, sight.seen_at, sight.answer)
    _store(ctx, chunk, min(sight.seen_at for _, sight in sights))


def _read(sights: Sights, began: datetime) -> _Chunk:
    host_ids = [host_id for host_id, _ in sights]
    seen = {domain.vm_id for _, sight in sights if sight.answer for domain in sight.answer.domains}
    placed: dict[str | None, list[Vm]] = {host_id: [] for host_id in host_ids}
    for vm in Vm.select(*LOOKED_AT).where(Vm.host.in_(host_ids)):
        placed[vm.host_id].append(vm)
    vms = {vm.id: vm for here in placed.values() for vm in here}
    for some in _in_parts(sorted(seen - vms.keys())):
        vms |= {vm.id: vm for vm in Vm.select(*LOOKED_AT).where(Vm.id.in_(some))}
    hosts = {host.id: host for host in Host.select().where(Host.id.in_(host_ids))}
    return _Chunk(hosts, vms, placed, busy_among(vms.keys() | seen, since=began))


def _silent(ctx: Context, chunk: _Chunk, host: Host, sight: Sight) -> None:
    ctx.memory.host_backoff.silent(host.id, now_s=ctx.clock.monotonic(), random=ctx.random)
    if host.problem != sight.problem:
        Host.update(problem=sight.problem).where(Host.id == host.id).execute()
        state_changes.host_observed(ctx, host, problem=sight.problem, facts=host.facts)
        chunk.changed.add(host.id)


def _answered(ctx: Context, chunk: _Chunk, host: Host, seen_at: datetime, seen: Answer) -> None:
    before = ctx.memory.host_backoff.of(host.id)
    facts = observation.facts(before, seen, vcpus=host.vcpus, memory_mib=host.memory_mib)
    facts |= _kept_loads(before, host, seen_at)
    facts["strays"] = strays.strays(host, seen.domains, chunk.vms, chunk.busy)
    facts["foreign"] = strays.foreign(seen.domains)
    ctx.memory.host_backoff.answered(host.id, seen.counters, observation.guests_s(seen.domains))
    chunk.fresh.append(host.id)
    if host.problem is not None or observation.differs(host.facts, facts):
        state_changes.host_observed(ctx, host, problem=None, facts=facts)
        chunk.facts[host.id] = facts
    if seen.facts is not None:
        _note_details(ctx, chunk, host, observation.hardware(seen.facts, host.hardware))
    _judge_vms(ctx, chunk, host, seen.domains)


def _kept_loads(before: Remembered, host: Host, seen_at: datetime) -> JsonObject:
    """A process that has just begun has nothing to subtract yet: what the one before it wrote still holds."""
    if before.counters is not None or host.facts is None or host.observed_at is None:
        return {}
    recent = (seen_at - host.observed_at).total_seconds() <= LOADS_KEPT_S
    return {name: host.facts.get(name) for name in observation.SHARES} if recent else {}


def _note_details(ctx: Context, chunk: _Chunk, host: Host, hardware: JsonObject) -> None:
    ctx.memory.host_backoff.details_read(host.id, now_s=ctx.clock.monotonic(), random=ctx.random)
    if observation.differs(host.hardware, hardware):
        chunk.hardware[host.id] = hardware


def _judge_vms(ctx: Context, chunk: _Chunk, host: Host, domains: tuple[DomainState, ...]) -> None:
    seen = {domain.vm_id: domain for domain in domains}
    for vm in chunk.placed[host.id]:
        if vm.id in chunk.busy:
            continue
        if vm.id not in seen:
            vm_rows.take_off(ctx, vm.id)
        elif vm.observed_state == seen[vm.id].state:
            chunk.alike.append(vm.id)
        else:
            vm_rows.observe(ctx, vm.id, seen[vm.id].state)


def _store(ctx: Context, chunk: _Chunk, seen_at: datetime) -> None:
    set_each(Host, Host.facts, chunk.facts)
    set_each(Host, Host.hardware, chunk.hardware)
    if chunk.fresh:
        Host.update(observed_at=seen_at, problem=None).where(Host.id.in_(chunk.fresh)).execute()
    for some in _in_parts(chunk.alike):
        Vm.update(observed_at=ctx.clock.now()).where(Vm.id.in_(some)).execute()
    chunk.changed |= chunk.facts.keys() | chunk.hardware.keys()
    if chunk.changed:
        change_counter.touch(chunk.changed)


def _in_parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[first : first + IDS_AT_ONCE] for first in range(0, len(ids), IDS_AT_ONCE))
