"""Replay of a decision on exactly its facts, by its or another algorithm.

Nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.context import Context
from service.db import placements
from service.db.engine.fields import epoch_seconds
from service.db.tables import Placement
from service.errors import GoneError
from service.operations.placement import algorithms
from service.placement.explain import explain
from service.placement.facts import VmRequest
from service.placement.place import Decision, Verdict, place
from service.placement.policy import Policy
from service.placement.table import HostTable
from service.placer import facts_journal


@dataclass(frozen=True, slots=True)
class Replayed:
    """The replayed decision, and whether it has the same host."""

    decision: Decision
    same: bool


def in_full(ctx: Context, row: Placement) -> tuple[Verdict, ...]:
    """Return the verdict on every host, best first.

    Raises GoneError (`placement.facts_gone`).
    """
    table, want = _then(ctx, row)
    stored = facts_journal.policy_of(ctx.placer.journal.db, row.policy_hash)
    return explain(table, want, Policy(stored["algorithm"], stored["weights"]))


def replay(ctx: Context, row: Placement, algorithm: str | None, weights: Mapping[str, float] | None) -> Replayed:
    """Decide again.

    Raises GoneError (`placement.facts_gone`), InvalidError (`placement.unknown_algorithm`, …).
    """
    policy = algorithms.named(ctx, algorithm, weights)
    table, want = _then(ctx, row)
    decision = place(table, want, policy)
    chosen = decision.chosen.host_id if decision.chosen else None
    return Replayed(decision, same=chosen == row.host_id)


def _then(ctx: Context, row: Placement) -> tuple[HostTable, VmRequest]:
    want, journal = placements.request_of(row), ctx.placer.journal
    if want is None or row.journal is None or row.facts_version is None:
        raise GoneError("The facts of this decision were not stored.", code=facts_journal.CODE)
    journal.flush(epoch_seconds(ctx.clock.now()))  # the decision may be this process's newest
    return HostTable(facts_journal.hosts_at(journal.db, row.journal, row.facts_version)), want
