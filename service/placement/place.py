"""facts → filters → scores → Decision. Equal input gives an equal decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from service.placement.facts import HostFacts, VmRequest
from service.placement.filters import NAMES, OF_ALL, Cloud
from service.placement.policy import STORAGE_CPU, PickFailedError, Policy
from service.placement.ranking import Ranking, ranking_of
from service.placement.scorers import MILLION
from service.placement.table import HostTable

SHOWN = 5  # of the best hosts are kept with the decision
NO_HOST = HostFacts(host_id="", name="", state="active", observed_at_s=None)  # what is against all minds none


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was thought of one host: reasons against it, or its score with every term (each in [0, 1])."""

    host_id: str
    host_name: str
    reasons: tuple[str, ...]
    score: float | None
    terms: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen host (None when nothing fits), the best hosts, and how many each filter ruled out, of how many."""

    algorithm: str
    policy_hash: str
    chosen: Verdict | None
    top: tuple[Verdict, ...]
    reasons: Mapping[str, int] = field(default_factory=dict)
    hosts: int = 0
    fallback: str | None = None  # why another algorithm than the one that was asked decided


def place(table: HostTable, want: VmRequest, policy: Policy) -> Decision:
    """Choose a host for the VM. Nothing is claimed."""
    cloud = table.cloud(want)
    ranking = ranking_of(table, want, policy, cloud)
    reasons = {name: hosts for name, hosts in zip(NAMES, ranking.counts.tolist(), strict=True) if hosts}
    if len(table) and (against_all := reasons_against_all(want, cloud)):
        reasons |= dict.fromkeys(against_all, len(table))
        return Decision(policy.algorithm, policy.hash, None, (), reasons, len(table))
    top = verdicts(table, ranking, ranking.best(SHOWN), policy)
    try:
        chosen = _chosen(table, want, policy, ranking, top)
    except PickFailedError as failure:
        why = f"{policy.algorithm}: {failure}; decided by {STORAGE_CPU.algorithm}"
        return replace(place(table, want, STORAGE_CPU), fallback=why)
    return Decision(policy.algorithm, policy.hash, chosen, top, reasons, len(table))


def _chosen(
    table: HostTable, want: VmRequest, policy: Policy, ranking: Ranking, top: tuple[Verdict, ...]
) -> Verdict | None:
    """The best, or what the policy picks itself; None when no host is left."""
    if not top or policy.pick is None:
        return top[0] if top else None
    row = policy.pick(table, want, ranking.scores.copy())
    if not isinstance(row, (int, np.integer)) or not 0 <= row < len(table):
        raise PickFailedError(f"picked row {row!r} of {len(table)}")
    if ranking.scores[row] < 0:
        raise PickFailedError(f"picked host {table.label(row)[1]}, which is ruled out")
    return verdicts(table, ranking, [int(row)], policy)[0]


def reasons_against_all(want: VmRequest, cloud: Cloud) -> dict[str, str]:
    """Filter name → why no host may take the VM, whichever it is."""
    asked = {name: check(NO_HOST, want, cloud) for name, check in OF_ALL.items()}
    return {name: why for name, why in asked.items() if why is not None}


def verdicts(table: HostTable, ranking: Ranking, rows: list[int], policy: Policy) -> tuple[Verdict, ...]:
    """What was thought of hosts that may take the VM, term by term."""
    if not rows:
        return ()
    scores = (np.rint(ranking.scores.take(rows) / policy.sum) / MILLION).tolist()
    return tuple(
        [
            Verdict(*table.label(row), (), score, tuple(zip(ranking.names, values, strict=True)))
            for row, score, values in zip(rows, scores, ranking.terms_of(rows), strict=True)
        ]
    )
