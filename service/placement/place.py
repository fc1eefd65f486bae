"""facts → filters → scores → Decision. Equal input gives an equal decision; every host is explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.placement.facts import HostFacts, VmRequest
from service.placement.filters import reasons_against
from service.placement.scorers import SCORERS

ALGORITHM = "storage_cpu"


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
    """The chosen host (None when nothing fits) and the verdict on every host, best first."""

    algorithm: str
    chosen: Verdict | None
    verdicts: tuple[Verdict, ...]

    def reasons(self) -> dict[str, list[str]]:
        """Host name → reasons against it, for the hosts that were ruled out."""
        return {verdict.host_name: list(verdict.reasons) for verdict in self.verdicts if verdict.reasons}


def place(hosts: Iterable[HostFacts], want: VmRequest, weights: Mapping[str, float]) -> Decision:
    """Choose a host for the VM. `weights` maps each scorer's name to its weight (≥ 0, not all 0)."""
    verdicts = sorted((_verdict(host, want, weights) for host in hosts), key=_rank)
    best = verdicts[0] if verdicts and verdicts[0].score is not None else None
    return Decision(algorithm=ALGORITHM, chosen=best, verdicts=tuple(verdicts))


def _rank(verdict: Verdict) -> tuple[float, str]:
    """Best score first, then by name; ruled-out hosts last."""
    return (-verdict.score if verdict.score is not None else 2.0, verdict.host_name)


def _verdict(host: HostFacts, want: VmRequest, weights: Mapping[str, float]) -> Verdict:
    reasons = reasons_against(host, want)
    if reasons:
        return Verdict(host.host_id, host.name, reasons, None, ())
    terms = tuple((name, round(SCORERS[name](host, want), 6)) for name in weights)
    total = sum(weights[name] * term for name, term in terms) / sum(weights.values())
    return Verdict(host.host_id, host.name, (), round(total, 6), terms)
