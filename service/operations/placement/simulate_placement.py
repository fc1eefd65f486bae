"""Simulation of placements, lost hosts and added hosts. Nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from service.context import Context
from service.db import placement_groups, queries
from service.db.engine.fields import epoch_seconds, optional_epoch_seconds
from service.db.tables import Allocation, Flavor, Host, Vm
from service.errors import FieldError, InvalidError, UnavailableError
from service.operations.actor import Actor
from service.operations.placement import algorithms
from service.operations.placement.external_algorithm import Outsider
from service.operations.rows.sizes import memory_on_host
from service.placement.facts import GroupRule, HostFacts, HostLoad, PoolFacts, VmRequest
from service.placement.place import Decision, place
from service.placement.policy import Policy
from service.placement.table import HostTable

MOST_VMS = 10_000
MOST_ASKED_OUTSIDE = 100  # VMs placed by an external algorithm, which is called for each
MOST_HOSTS = 1_000  # added
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Some:
    """A number of equal VMs of a flavor or a size."""

    name: str
    count: int
    flavor: str | None = None
    vcpus: int = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class More:
    """A number of empty hosts to add, like an existing one or of another size."""

    name: str
    count: int
    like: str
    vcpus: int | None = None
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A scenario: VMs to place, lost hosts and added hosts.

    The VMs of lost hosts are placed first. `all_or_nothing`: if one of the new VMs fits nowhere, none is placed.
    """

    vms: tuple[Some, ...] = ()
    hosts_lost: tuple[str, ...] = ()
    hosts_added: tuple[More, ...] = ()
    all_or_nothing: bool = False
    algorithm: str | None = None
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Placement of equal VMs: host name → number.

    `first` is the decision on the first VM, `refused` that on the first that fits nowhere.
    """

    name: str
    count: int
    hosts: Mapping[str, int]
    first: Decision | None = None
    refused: Decision | None = None

    @property
    def placed(self) -> int:
        """Number of placed VMs."""
        return sum(self.hosts.values())


@dataclass(frozen=True, slots=True)
class Simulated:
    """Result of a simulation.

    `lost` has the outcomes of VMs of lost hosts, `vms` of new ones; `table` is the resulting state.
    """

    policy: Policy
    lost: tuple[Outcome, ...]
    vms: tuple[Outcome, ...]
    table: HostTable
    undone: bool = False  # all_or_nothing, and not all fit


@dataclass(slots=True)
class _Simulation:
    ctx: Context
    table: HostTable
    policy: Policy
    until_s: float
    outcomes: list[Outcome] = field(default_factory=list)

    def place(self, name: str, wants: Iterator[VmRequest], count: int) -> None:
        """Place equal VMs, or those of one host.

        Raises UnavailableError (`placement.too_long`).
        """
        hosts: Counter[str] = Counter()
        first: Decision | None = None
        refused: Decision | None = None
        for want in wants:
            if self.ctx.clock.monotonic() > self.until_s:
                detail = f"The simulation takes more than {PATIENCE_S:.0f} s: request fewer VMs."
                raise UnavailableError(detail, code="placement.too_long")
            decision = place(self.table, want, self.policy)
            first = first or decision
            if decision.chosen is None:
                refused = refused or decision
                continue
            self.table.claim(decision.chosen.host_id, want)
            hosts[decision.chosen.host_name] += 1
        self.outcomes.append(Outcome(name, count, dict(sorted(hosts.items())), first, refused))


def simulate(ctx: Context, actor: Actor, what: WhatIf) -> Simulated:
    """Run the simulation.

    Raises InvalidError (`placement.batch_too_large`, `placement.unknown_algorithm` …), UnavailableError.
    """
    policy = algorithms.named(ctx, what.algorithm, what.weights)
    usual = _usual(ctx, actor)
    wants = [(some, _want(ctx, actor, usual, some)) for some in what.vms]
    lost = [queries.referenced(Host, ref, "hosts_lost", actor.scope) for ref in what.hosts_lost]
    displaced = {host.name: _displaced(ctx, usual, host) for host in lost}
    most = MOST_ASKED_OUTSIDE if isinstance(policy.pick, Outsider) else MOST_VMS
    _check_size(sum(some.count for some in what.vms) + sum(map(len, displaced.values())), most)
    table = _changed(ctx, actor, what, lost)
    one = _Simulation(ctx, table, policy, ctx.clock.monotonic() + PATIENCE_S)
    for name, those in displaced.items():
        one.place(name, iter(those), len(those))
    after_loss = table.copy() if what.all_or_nothing else table
    for some, want in wants:
        one.place(some.name, (want for _ in range(some.count)), some.count)
    moved, new = tuple(one.outcomes[: len(displaced)]), tuple(one.outcomes[len(displaced) :])
    undone = what.all_or_nothing and any(outcome.refused is not None for outcome in new)
    return Simulated(policy, moved, new, after_loss if undone else table, undone)


def _check_size(vms: int, most: int = MOST_VMS) -> None:
    if vms > most:
        outside = "" if most == MOST_VMS else " by an external algorithm; use storage_cpu for more"
        text = f"{vms} VMs, of lost hosts and new ones together: at most {most} are placed at once{outside}"
        raise InvalidError(f"{text}.", code="placement.batch_too_large", errors=(FieldError("vms", text),))


def _usual(ctx: Context, actor: Actor) -> VmRequest:
    """Return the requirements common to all new VMs of the actor's project."""
    project_id = actor.scope.project_id
    return VmRequest(
        vcpus=0,
        memory_mib=0,
        pools=(_pool(ctx.settings.vm_pool),),
        host_groups=queries.host_groups_of(project_id) if project_id else None,
        project_id=project_id,
        max_migrations=ctx.settings.max_migrations_per_host,
        keep_room=ctx.settings.placement_keep_room,
        now_s=epoch_seconds(ctx.clock.now()),
        max_facts_age_s=ctx.settings.facts_max_age_s,
    )


def _pool(name: str) -> PoolFacts:
    seen = queries.pool(name)
    if seen is None:
        return PoolFacts(name=name, observed_at_s=None, free_bytes=0, near_full=False, full=False)
    values = {key: seen.facts[key] for key in ("free_bytes", "near_full", "full")}
    return PoolFacts(name=name, observed_at_s=optional_epoch_seconds(seen.observed_at), **values)


def _want(ctx: Context, actor: Actor, usual: VmRequest, some: Some) -> VmRequest:
    if some.flavor is None:
        return replace(usual, vcpus=some.vcpus, memory_mib=memory_on_host(ctx, some.memory_mib))
    flavor = queries.referenced(Flavor, some.flavor, "vms", actor.scope)
    return replace(usual, vcpus=flavor.vcpus, memory_mib=memory_on_host(ctx, flavor.memory_mib))


def _displaced(ctx: Context, usual: VmRequest, host: Host) -> list[VmRequest]:
    """Return the requirements of the VMs of a lost host, the largest first.

    They may use the reserve for a lost host.
    """
    held = list(Allocation.select(Allocation, Vm).join(Vm).where(Allocation.host == host).limit(MOST_VMS + 1))
    _check_size(len(held))
    groups = {one.vm.project_id: queries.host_groups_of(one.vm.project_id) for one in held}
    wants = [
        replace(
            usual,
            vcpus=one.vcpus,
            memory_mib=one.memory_mib,
            pools=tuple(replace(pool, near_full=False) for pool in usual.pools),
            firmware=str(one.vm.firmware),
            project_id=one.vm.project_id,
            host_groups=groups[one.vm.project_id],
            rules=_rules(one.vm),
            keep_room=False,
        )
        for one in held
    ]
    return sorted(wants, key=lambda want: (-want.memory_mib, -want.vcpus))


def _rules(vm: Vm) -> tuple[GroupRule, ...]:
    groups: Iterable[Any] = placement_groups.of_vm(vm.id)
    return tuple(GroupRule(one.id, one.name, one.kind, one.hard) for one in groups)


def _changed(ctx: Context, actor: Actor, what: WhatIf, lost: list[Host]) -> HostTable:
    """Return a copy of the current table without lost and with added hosts."""
    added = [(more, queries.referenced(Host, more.like, "hosts_added", actor.scope)) for more in what.hosts_added]
    if sum(more.count for more in what.hosts_added) > MOST_HOSTS:
        text = f"at most {MOST_HOSTS} hosts are added at once"
        raise InvalidError(f"{text}.", code="placement.batch_too_large", errors=(FieldError("hosts_added", text),))
    with ctx.placer as placer:
        placer.sync(epoch_seconds(ctx.clock.now()))
        facts = {host.host_id: host for host in placer.table.hosts()}
    new = [one for more, like in added for one in _empty(ctx, facts[like.id], more)]
    gone = {host.id for host in lost}
    then = [*(host for host in facts.values() if host.host_id not in gone), *new]
    twice = [name for name, hosts in Counter(host.name for host in then).items() if hosts > 1]
    if twice:
        text = f"two hosts would be named {twice[0]}: give the added ones other names"
        raise InvalidError(f"{text}.", errors=(FieldError("hosts_added", text),))
    return HostTable(then)


def _empty(ctx: Context, like: HostFacts, more: More) -> Iterator[HostFacts]:
    now_s = epoch_seconds(ctx.clock.now())
    for number in range(1, more.count + 1):
        yield replace(
            like,
            host_id=ctx.ids.uuid(),
            name=more.name if more.count == 1 else f"{more.name}-{number}",
            state="active",
            problem=None,
            observed_at_s=now_s,
            vcpus=like.vcpus if more.vcpus is None else more.vcpus,
            memory_mib=like.memory_mib if more.memory_mib is None else more.memory_mib,
            allocated_vcpus=0,
            allocated_memory_mib=0,
            vm_count=0,
            migrations=0,
            load=HostLoad(),
            projects={},
            members={},
            usage=None,
        )
