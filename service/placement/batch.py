"""Several VMs at once: each sees those before it as if they ran already."""

from __future__ import annotations

from collections.abc import Iterable

from service.placement.facts import HostFacts, VmRequest
from service.placement.place import Decision, place
from service.placement.policy import Policy
from service.placement.table import HostTable


def place_batch(
    table: HostTable, wants: Iterable[VmRequest], policy: Policy, *, all_or_nothing: bool
) -> list[Decision]:
    """A decision for each VM, in their order; with `all_or_nothing` the first that fits nowhere is the last one, and
    none of the others counts. The table is left as it was: the caller that claims what was decided puts it in."""
    decisions: list[Decision] = []
    before: dict[str, HostFacts] = {}
    try:
        for want in wants:
            decision = place(table, want, policy)
            decisions.append(decision)
            if decision.chosen is not None:
                host_id = decision.chosen.host_id
                before.setdefault(host_id, table.facts(host_id))
                table.claim(host_id, want)
            elif all_or_nothing:
                break
    finally:
        for host in before.values():
            table.put(host)
    return decisions


def all_fit(decisions: list[Decision]) -> bool:
    """Whether every VM of a batch found a host."""
    return all(decision.chosen is not None for decision in decisions)
