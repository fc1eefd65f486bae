"""Choice of the placement algorithm: of the request, a host group or the settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from service import algorithm_names
from service.algorithm_names import BUILT_IN
from service.context import Context
from service.errors import FieldError, InvalidError
from service.operations.actor import Actor
from service.operations.authorise import authorise
from service.operations.hosts.host_groups import algorithm_for
from service.operations.placement.external_algorithm import Outsider
from service.placement.algorithms.registry import built_in
from service.placement.policy import STORAGE_CPU, Policy
from service.settings import Settings


def policy(ctx: Context, *, asked: str | None = None, project_id: str | None = None) -> Policy:
    """Return the policy of one placement.

    `asked` was checked. If a host group's algorithm is no longer installed, storage_cpu decides.
    """
    settings = ctx.settings
    name = asked or (algorithm_for(project_id) if project_id else None) or settings.placement_algorithm
    return _policy(ctx, name, settings.placement_weights if name == settings.placement_algorithm else {})


def named(ctx: Context, name: str | None, weights: Mapping[str, float] | None = None) -> Policy:
    """Return the policy of a replay or a what-if; None means the setting's.

    Raises InvalidError with the valid names.
    """
    if name is None and weights is None:
        return policy(ctx)
    name = name or ctx.settings.placement_algorithm
    check(ctx.settings, name)
    try:
        return _policy(ctx, name, weights or {})
    except ValueError as failure:
        wrong = (FieldError("weights", str(failure)),)
        raise InvalidError(
            f"The weights are wrong: {failure}.", code="placement.bad_weights", errors=wrong
        ) from failure


def check(settings: Settings, name: str, *, field: str = "algorithm") -> str:
    """Return the name if it may be requested over the API.

    A program runs with the service's rights, so only the setting's may be named. Raises InvalidError with the valid
    names.
    """
    if name == settings.placement_algorithm:
        return name
    try:
        return algorithm_names.check_inside(name)
    except ValueError as failure:
        wrong = (FieldError(field, str(failure)),)
        raise InvalidError(f"{failure}.", code="placement.unknown_algorithm", errors=wrong) from failure


def asked_by(ctx: Context, actor: Actor, name: str | None) -> str | None:
    """Return the algorithm that a request names, which only admins may.

    Raises ForbiddenError, InvalidError.
    """
    if name is None:
        return None
    authorise(actor, "placement:choose")
    return check(ctx.settings, name, field="placement_algorithm")


def _policy(ctx: Context, name: str, weights: Mapping[str, float]) -> Policy:
    if name in BUILT_IN:
        return _built_in(name, tuple(weights.items()))
    return Policy(name, weights or STORAGE_CPU.weights, Outsider(ctx, name, weights or STORAGE_CPU.weights))


@lru_cache(maxsize=64)
def _built_in(name: str, weights: tuple[tuple[str, float], ...]) -> Policy:
    return built_in(name, dict(weights))
