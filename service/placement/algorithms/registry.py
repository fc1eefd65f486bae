"""The built-in algorithms by name."""

from __future__ import annotations

from collections.abc import Mapping

from service.placement.algorithms.pack import PACK
from service.placement.algorithms.round_robin import ROUND_ROBIN
from service.placement.algorithms.spread import SPREAD
from service.placement.policy import STORAGE_CPU, Policy

BUILT_IN: Mapping[str, Policy] = {one.algorithm: one for one in (STORAGE_CPU, SPREAD, PACK, ROUND_ROBIN)}


def built_in(name: str, weights: Mapping[str, float] | None = None) -> Policy:
    """The algorithm, with other weights than its own when some are given. Raises KeyError; ValueError for weights."""
    policy = BUILT_IN[name]
    return policy if not weights else Policy(policy.algorithm, weights, policy.pick)
