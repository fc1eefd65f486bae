"""Choice of a VM's host: decide, claim and record in the caller's transaction."""

from __future__ import annotations

from service.context import Context
from service.db import placements
from service.db.placements import Asked
from service.db.tables import Host, Vm
from service.errors import ConflictError
from service.operations.placement import algorithms
from service.operations.placement.placement_request import vm_request
from service.placement.explain import nearest_misses
from service.placement.facts import HostFacts, VmRequest
from service.placement.place import Decision
from service.placement.policy import Policy
from service.placer.chosen_host import ChosenHost
from service.placer.host_facts import candidates
from service.placer.new_placer import promises
from service.placer.placer import Placer

MOST_REASONS = 100  # hosts with their reasons in one refusal


def claim_host(
    ctx: Context, vm: Vm, *, excluded: Host | None = None, only: Host | None = None, algorithm: str | None = None
) -> ChosenHost:
    """Choose a host, allocate its capacity to the VM and record the decision.

    `algorithm` was checked. Raises ConflictError (`placement.no_host`, `host.migrations`).
    """
    want = vm_request(ctx, vm, excluded=excluded, only=only)
    policy = algorithms.policy(ctx, asked=algorithm, project_id=vm.project_id)
    with ctx.placer as placer:
        decision = _decide(ctx, placer, want, policy)
        if decision.chosen is None:
            raise nothing_fits(placer, vm, want, policy, decision)
        if excluded is not None:
            _check_source(placer.table.facts(excluded.id), want)
        keep(ctx, placer, vm, want, decision)
        try:
            return placer.claim(vm, want, decision.chosen.host_id, allocation_id=ctx.ids.uuid(), now=ctx.clock.now())
        except ConflictError:
            ctx.meters.raced()
            raise


def keep(ctx: Context, placer: Placer, vm: Vm, want: VmRequest, decision: Decision) -> None:
    """Record the decision with the facts that it was made from.

    Call it with the placer's lock held and before the claim, which changes the facts.
    """
    placements.keep(
        row_id=ctx.ids.uuid(),
        now=ctx.clock.now(),
        asked=Asked(vm.id, vm.project_id),
        want=want,
        decision=decision,
        version=placer.journal.version,
    )


def host_facts(ctx: Context, hosts: list[Host]) -> list[HostFacts]:
    """Return the current facts of hosts, in the same order."""
    found = candidates(hosts, promises(ctx.settings), ids=[host.id for host in hosts])
    return [candidate.facts for candidate in found]


def nothing_fits(placer: Placer, vm: Vm, want: VmRequest, policy: Policy, decision: Decision) -> ConflictError:
    """Return the error with reasons of each host, or of the nearest ones and counts."""
    hosts = len(placer.table)
    if not hosts:
        return ConflictError("There is no host yet: add one with 'nacre host add'.", code="placement.no_host")
    where = f"Host {placer.table.facts(want.only_host).name} cannot take" if want.only_host else "No host can take"
    counts = ", ".join(f"{name} {number}" for name, number in sorted(decision.reasons.items()))
    beyond = f" Of all {hosts} hosts: {counts}." if hosts > MOST_REASONS else ""
    return ConflictError(
        f"{where} VM '{vm.name}' ({vm.vcpus} vCPU, {vm.memory_mib} MiB): see reasons for each host.{beyond}",
        code="placement.no_host",
        reasons={
            one.host_name: list(one.reasons) for one in nearest_misses(placer.table, want, policy, most=MOST_REASONS)
        },
    )


def _check_source(source: HostFacts, want: VmRequest) -> None:
    """Check the migrations in flight on the source: no filter checks that host."""
    if source.migrations >= want.max_migrations:
        in_flight = f"{source.migrations} migrations from or to host '{source.name}' are in flight"
        raise ConflictError(f"{in_flight}, at most {want.max_migrations} are allowed: retry.", code="host.migrations")


def _decide(ctx: Context, placer: Placer, want: VmRequest, policy: Policy) -> Decision:
    began_s = ctx.clock.monotonic()
    decision = placer.decide(want, policy)
    ctx.meters.placed(ctx.clock.monotonic() - began_s, fits=decision.chosen is not None)
    return decision
