"""The whole table of a decision: every host with its score, term by term, or with all reasons against it in words."""

from __future__ import annotations

import numpy as np

from service.placement.facts import VmRequest
from service.placement.filters import reasons_against
from service.placement.place import Verdict, reasons_against_all, verdicts
from service.placement.policy import Policy
from service.placement.ranking import ranking_of
from service.placement.table import HostTable


def explain(table: HostTable, want: VmRequest, policy: Policy) -> tuple[Verdict, ...]:
    """Every host: those that may take the VM by their score, best first, then the others by name."""
    cloud = table.cloud(want)
    ranking = ranking_of(table, want, policy, cloud)
    scores = np.full(len(table), -1.0) if reasons_against_all(want, cloud) else ranking.scores
    rows = np.argsort(-scores, kind="stable")
    fit = int((scores >= 0).sum())
    ruled_out = [
        _ruled_out(table, row, tuple(reasons_against(table.at(row), want, cloud).values())) for row in rows[fit:]
    ]
    return (*verdicts(table, ranking, rows[:fit].tolist(), policy), *ruled_out)


def nearest_misses(table: HostTable, want: VmRequest, policy: Policy, most: int) -> tuple[Verdict, ...]:
    """Of the hosts that cannot take the VM those with the fewest reasons, in words, by name among equals."""
    cloud = table.cloud(want)
    against = ranking_of(table, want, policy, cloud).against
    rows = np.argsort(np.bitwise_count(against), kind="stable")[:most].tolist()
    ruled_out = ((row, tuple(reasons_against(table.at(row), want, cloud).values())) for row in rows)
    return tuple(_ruled_out(table, row, reasons) for row, reasons in ruled_out if reasons)


def _ruled_out(table: HostTable, row: int, reasons: tuple[str, ...]) -> Verdict:
    return Verdict(*table.label(row), reasons, None, ())
