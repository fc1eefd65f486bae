"""How hosts are chosen among: an algorithm's name, the weights of its scorers, and how it picks."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.algorithm_names import TERMS
from service.placement.columns import Floats
from service.placement.facts import VmRequest
from service.placement.scorers import HOST_SCORERS, MILLION
from service.placement.scorers_vm import VM_SCORERS

if TYPE_CHECKING:
    from service.placement.table import HostTable

# The row to take: of the table, for the request, by the scores of all rows (below 0: ruled out).
# May raise PickFailedError.
Pick = Callable[["HostTable", VmRequest, Floats], int]

SCORERS = (*HOST_SCORERS, *VM_SCORERS)


class PickFailedError(Exception):
    """An algorithm gave no host, or none that it may give; says why. storage_cpu decides in its place."""


@dataclass(frozen=True, slots=True)
class Policy:
    """An algorithm with its weights: scorer → weight (finite, 0 or more, at least one above 0). Without `pick`, the
    best score wins, and among equals the first by name. Raises ValueError, naming what is valid."""

    algorithm: str
    weights: Mapping[str, float]
    pick: Pick | None = None
    whole_weights: Mapping[str, int] = field(init=False)
    hash: str = field(init=False)
    sum: int = field(init=False)  # of the whole weights

    def __post_init__(self) -> None:
        check_weights(self.weights)
        total = math.fsum(self.weights.values())
        whole = {name: round(weight / total * MILLION) for name, weight in self.weights.items() if weight > 0}
        canonical = json.dumps([self.algorithm, sorted(whole.items())])
        object.__setattr__(self, "whole_weights", whole)
        object.__setattr__(self, "sum", sum(whole.values()))
        object.__setattr__(self, "hash", hashlib.sha256(canonical.encode()).hexdigest()[:16])


def check_weights(weights: Mapping[str, float]) -> None:
    """Raises ValueError for an unknown scorer or a weight that is none."""
    unknown = sorted(set(weights) - set(SCORERS))
    if unknown:
        raise ValueError(f"unknown scorer {', '.join(unknown)}: known are {', '.join(SCORERS)}")
    if not all(0 <= weight < math.inf for weight in weights.values()) or sum(weights.values()) <= 0:
        raise ValueError("weights are finite numbers, 0 or more, and at least one is more than 0")


STORAGE_CPU_WEIGHTS: Mapping[str, float] = {name: weight for name, weight in TERMS.items() if weight}
STORAGE_CPU = Policy("storage_cpu", STORAGE_CPU_WEIGHTS)
