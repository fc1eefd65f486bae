"""From rows to facts to a decision that is kept, inside the caller's transaction."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from datetime import datetime
from typing import Any

from service.context import Context
from service.db import queries
from service.db.scope import EVERYTHING
from service.db.tables import Host, Placement, Vm
from service.errors import ConflictError
from service.placement.facts import HostFacts, PoolFacts, VmRequest
from service.placement.place import Decision, place


def choose_host(ctx: Context, vm: Vm, *, excluded: Host | None = None, only: Host | None = None) -> Host:
    """Decide where `vm` shall run and keep the decision. Raises ConflictError (`placement.no_host`) with reasons."""
    want = vm_request(ctx, vm, excluded=excluded, only=only)
    hosts = {host.id: host for host in queries.everything(Host, EVERYTHING)}
    facts, began_s = host_facts(ctx, list(hosts.values())), ctx.clock.monotonic()
    decision = place(facts, want, ctx.settings.placement_weights)
    ctx.meters.placed(ctx.clock.monotonic() - began_s, fits=decision.chosen is not None)
    if decision.chosen is None:
        raise _nothing_fits(vm, decision, only)
    _keep(ctx, vm, decision)
    return hosts[decision.chosen.host_id]


def vm_request(ctx: Context, vm: Vm, *, excluded: Host | None, only: Host | None) -> VmRequest:
    """What the VM needs of a host; QEMU's own memory counts. A move writes no disk: a full pool does not stop it."""
    return VmRequest(
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib + ctx.settings.memory_overhead_mib,
        pool=_pool_facts(ctx, ctx.settings.vm_pool) if excluded is None else None,
        virt_type=vm.virt_type if excluded is not None else None,
        excluded_hosts=frozenset({excluded.id} if excluded else ()),
        only_host=only.id if only else None,
        allowed_hosts=queries.hosts_allowed(vm.project_id),
        max_facts_age_s=ctx.settings.facts_max_age_s,
    )


def host_facts(ctx: Context, hosts: list[Host]) -> list[HostFacts]:
    """Every host with what is promised on it, what it was seen doing, and how its OSDs fare."""
    promised = queries.allocated()
    osds = _osds_by_host()
    now = ctx.clock.now()
    return [_facts(host, promised.get(host.id, (0, 0, 0)), osds[host.name], now) for host in hosts]


def _facts(host: Host, promised: tuple[int, int, int], osds: list[dict[str, Any]], now: datetime) -> HostFacts:
    latencies = [osd["commit_latency_ms"] for osd in osds if osd["commit_latency_ms"] is not None]
    vcpus, memory_mib, vm_count = promised
    return HostFacts(
        host_id=host.id,
        name=host.name,
        state=host.state,
        age_s=(now - host.observed_at).total_seconds() if host.observed_at else None,
        problem=host.problem,
        virt_type=host.virt_type,
        vcpus=host.vcpus,
        reserved_vcpus=host.reserved_vcpus,
        allocated_vcpus=vcpus,
        memory_mib=host.memory_mib,
        reserved_memory_mib=host.reserved_memory_mib,
        allocated_memory_mib=memory_mib,
        vm_count=vm_count,
        cpu_load=(host.facts or {}).get("cpu_load"),
        osds=len(osds),
        osds_up=sum(osd["up"] for osd in osds),
        osd_latency_ms=max(latencies, default=None),
    )


def _osds_by_host() -> defaultdict[str, list[dict[str, Any]]]:
    by_host: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    seen = queries.storage()
    for osd in seen.osds if seen else ():
        by_host[osd["host"]].append(osd)
    return by_host


def _pool_facts(ctx: Context, name: str) -> PoolFacts:
    seen = queries.pool(name)
    if seen is None:
        return PoolFacts(name=name, age_s=None, free_bytes=0, near_full=False, full=False)
    return PoolFacts(
        name=name,
        age_s=(ctx.clock.now() - seen.observed_at).total_seconds(),
        free_bytes=seen.facts["free_bytes"],
        near_full=seen.facts["near_full"],
        full=seen.facts["full"],
    )


def _nothing_fits(vm: Vm, decision: Decision, only: Host | None) -> ConflictError:
    where = f"Host {only.name} cannot take" if only else "No host can take"
    if not decision.verdicts:
        return ConflictError("There is no host yet: add one with 'nacre host add'.", code="placement.no_host")
    return ConflictError(
        f"{where} VM '{vm.name}' ({vm.vcpus} vCPU, {vm.memory_mib} MiB): see reasons for each host.",
        code="placement.no_host",
        reasons=decision.reasons(),
    )


def _keep(ctx: Context, vm: Vm, decision: Decision) -> None:
    Placement.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        vm_id=vm.id,
        project_id=vm.project_id,
        host_id=decision.chosen.host_id if decision.chosen else None,
        decision=dataclasses.asdict(decision),
    )
