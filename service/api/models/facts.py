"""Fields of the API's models of host facts, derived from the values in service/facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Optional, get_args, get_origin

from pydantic import Field

from service.edge.models import Instant
from service.facts.fact import Fact, Unit, shown_of
from service.facts.history import HOST_SERIES
from service.json_types import JsonObject

Annotations = JsonObject
# Unit → type of a series' points: means of sizes are rounded to whole numbers.
POINTS: Mapping[Unit, type] = {"share": float, "cpus": float, "ms": float, "mib": int, "bytes": int, "count": int}


def fields_of(kind: type, models: Mapping[type, type] | None = None) -> Annotations:
    """Return name → type for every fact that is shown; `models` stand for the values inside of it."""
    return {one.name: _described(_shown(one, models or {}), one.about.help) for one in shown_of(kind)}


def series() -> Annotations:
    """Return name → type for every number in a host's history."""
    return {one.series: _described(POINTS[one.unit] | None, one.help) for one in HOST_SERIES}


def _shown(one: Fact, models: Mapping[type, type]) -> Any:
    shown = Instant if one.about.unit == "epoch_s" else _json(one.type, models)
    return Optional[shown] if one.optional else shown  # noqa: UP045 - of a type that is known at run time only


def _json(kind: Any, models: Mapping[type, type]) -> Any:
    parts = get_args(kind)
    if get_origin(kind) in (frozenset, tuple):
        return list[models.get(parts[0], parts[0])]  # type: ignore[misc]
    if get_origin(kind) is Mapping:
        return dict[parts]  # type: ignore[valid-type,misc]
    return models.get(kind, kind)


def _described(kind: Any, help_text: str) -> Any:
    return Annotated[kind, Field(description=help_text)] if help_text else kind
