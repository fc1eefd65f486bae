"""Which algorithm places a VM: the one that an admin asked for, that of its project's host groups, or the setting's."""

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
    """For one placement. `asked` was checked; what a host group says may have gone since: then storage_cpu decides."""
    settings = ctx.settings
    name = asked or (algorithm_for(project_id) if project_id else None) or settings.placement_algorithm
    return _policy(ctx, name, settings.placement_weights if name == settings.placement_algorithm else {})


def named(ctx: Context, name: str | None, weights: Mapping[str, float] | None = None) -> Policy:
    """For a replay or a what-if; None: the setting's. Raises InvalidError, naming what is valid."""
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
    """The name, when it may be asked for over the API. Raises InvalidError, naming what is valid.

    A program runs with the service's rights: who may only ask for VMs does not say which. It is the setting's or none.
    """
    if name == settings.placement_algorithm:
        return name
    try:
        return algorithm_names.check_inside(name)
    except ValueError as failure:
        wrong = (FieldError(field, str(failure)),)
        raise InvalidError(f"{failure}.", code="placement.unknown_algorithm", errors=wrong) from failure


def asked_by(ctx: Context, actor: Actor, name: str | None) -> str | None:
    """The algorithm that a request names: admins may. Raises ForbiddenError, InvalidError."""
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
