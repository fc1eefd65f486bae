"""Handlers for placement decisions: list, show, replay and simulate."""

from __future__ import annotations

from service.api.models.placements import AskPlacement, ListPlacements, ReplayPlacement, SimulatePlacements
from service.db import placements, queries
from service.db.placements import verdict_json
from service.db.tables import Host, Placement, Vm
from service.edge import paging
from service.edge.call import Call, Reply
from service.json_types import JsonObject
from service.operations.placement import replay_placement, simulate_placement
from service.operations.placement.simulate_placement import More, Outcome, Some, WhatIf
from service.placement.table import HostTable
from service.views.placements import show_decision, show_kept_placements

MOST_LEFT = 100  # hosts listed in a simulation


def list_(call: Call[None, ListPlacements]) -> Reply:
    """List placement decisions, newest first."""
    found, asked = placements.readable(call.actor.scope), call.query
    if asked.vm is not None:  # a deleted VM can be given by id only
        vm = queries.find(Vm, asked.vm, call.actor.scope)
        found = found.where(Placement.vm_id == (vm.id if vm else asked.vm))
    if asked.host is not None:
        host = queries.find(Host, asked.host, call.actor.scope)
        found = found.where(Placement.host_id == (host.id if host else ""))
    sorts = {"created_at": Placement.created_at}
    return paging.page(call, found, key=Placement.id, sorts=sorts, show=show_kept_placements)


def show(call: Call[None, AskPlacement]) -> Reply:
    """Show a placement decision: the best five hosts, and why others failed.

    With `full` it has the verdict on every host, from the facts at the time of the decision.
    """
    row = placements.get(call.ref, call.actor.scope)
    (body,) = show_kept_placements([row])
    if call.query.full:
        body["verdicts"] = [verdict_json(verdict) for verdict in replay_placement.in_full(call.ctx, row)]
        again = {verdict["host_id"]: verdict for verdict in body["verdicts"]}
        body["exact"] = all(again.get(verdict["host_id"]) == verdict for verdict in row.top)
    return Reply(body)


def replay(call: Call[ReplayPlacement]) -> Reply:
    """Replay a decision on the same facts with another algorithm or weights."""
    body, row = call.body, placements.get(call.ref, call.actor.scope)
    replayed = replay_placement.replay(call.ctx, row, body.algorithm, body.weights)
    return Reply({**show_decision(replayed.decision), "same": replayed.same})


def simulate(call: Call[SimulatePlacements]) -> Reply:
    """Simulate new VMs, lost hosts and added hosts; nothing is allocated."""
    what = _what_if(call.body)
    found = simulate_placement.simulate(call.ctx, call.actor, what)
    outcomes = (*found.lost, *found.vms)
    return Reply(
        {
            "algorithm": found.policy.algorithm,
            "policy_hash": found.policy.hash,
            "all_fit": not any(outcome.refused for outcome in outcomes),
            "lost": [_outcome(outcome) for outcome in found.lost],
            "vms": [_outcome(outcome, undone=found.undone) for outcome in found.vms],
            **_left(found.table),
        }
    )


def _what_if(body: SimulatePlacements) -> WhatIf:
    return WhatIf(
        vms=tuple(
            Some(vms.name or vms.flavor or "vms", vms.count, vms.flavor, vms.vcpus or 0, vms.memory_mib or 0)
            for vms in body.vms
        ),
        hosts_lost=tuple(dict.fromkeys(body.hosts_lost)),
        hosts_added=tuple(
            More(more.name, more.count, more.like, more.vcpus, more.memory_mib) for more in body.hosts_added
        ),
        all_or_nothing=body.fit == "all",
        algorithm=body.algorithm,
        weights=body.weights,
    )


def _outcome(outcome: Outcome, *, undone: bool = False) -> JsonObject:
    return {
        "name": outcome.name,
        "count": outcome.count,
        "placed": 0 if undone else outcome.placed,
        "hosts": {} if undone else dict(outcome.hosts),
        "first": show_decision(outcome.first) if outcome.first else None,
        "refused": show_decision(outcome.refused) if outcome.refused else None,
    }


def _left(table: HostTable) -> JsonObject:
    hosts = [host for host in table.hosts() if host.state == "active"]
    roomy = sorted(hosts, key=lambda host: (-host.free_memory_mib, -host.free_vcpus, host.name))[:MOST_LEFT]
    return {
        "hosts": len(table),
        "free_vcpus": sum(max(0, host.free_vcpus) for host in hosts),
        "free_memory_mib": sum(max(0, host.free_memory_mib) for host in hosts),
        "left": [
            {
                "host": host.name,
                "vms": host.vm_count,
                "free_vcpus": host.free_vcpus,
                "free_memory_mib": host.free_memory_mib,
            }
            for host in roomy
        ],
    }
