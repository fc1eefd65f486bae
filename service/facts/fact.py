"""Declaration of one fact: a dataclass field with its unit, help text, metric and series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Unit = Literal["", "count", "cpus", "share", "mib", "bytes", "ms", "epoch_s"]
Default = TypeVar("Default")

KEY = "fact"  # of a field's metadata
_FACTS: dict[type, tuple[Fact, ...]] = {}


@dataclass(frozen=True, slots=True)
class About:
    """Description of a fact. `share`: of the host's CPUs, 0 to 1; `epoch_s`: whole seconds, RFC 3339 in the API."""

    help: str = ""
    unit: Unit = ""
    metric: str | None = None  # nacre_host_<metric>, in base units; None: not exported
    series: str | None = None  # name in the host's history; None: no history
    shown: bool = True  # part of the API's answers
    noisy: bool = False  # a change within its unit's noise is not written


@dataclass(frozen=True, slots=True)
class Fact:
    """Field of a dataclass as a fact. `type` is without None, which `optional` tells."""

    name: str
    type: Any
    optional: bool
    default: Any  # MISSING: none
    about: About


def fact(
    default: Default,
    *,
    help: str,  # noqa: A002 - the word for it
    unit: Unit = "",
    metric: str | None = None,
    series: str | None = None,
    shown: bool = True,
    noisy: bool = False,
) -> Default:
    """Declare a fact with its default. A default that cannot be hashed must be read-only: it is shared."""
    metadata = {KEY: About(help, unit, metric, series, shown, noisy)}
    if type(default).__hash__ is None:
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


def facts_of(kind: type) -> tuple[Fact, ...]:
    """Return the fields of a dataclass in their order; those without a declaration have an empty description."""
    if kind not in _FACTS:
        hints = get_type_hints(kind)
        _FACTS[kind] = tuple(_fact(one, hints[one.name]) for one in fields(kind))
    return _FACTS[kind]


def names_of(kind: type) -> tuple[str, ...]:
    """Return the names of a dataclass's fields in their order."""
    return tuple(one.name for one in facts_of(kind))


def shown_of(kind: type) -> tuple[Fact, ...]:
    """Return the facts that the API shows."""
    return tuple(one for one in facts_of(kind) if one.about.shown)


def _fact(one: Field[Any], hint: Any) -> Fact:
    kinds = [part for part in get_args(hint) if part is not NoneType]
    optional = get_origin(hint) in (Union, UnionType) and len(kinds) == 1
    default = one.default if one.default_factory is MISSING else one.default_factory()
    metadata: Mapping[str, About] = one.metadata
    return Fact(one.name, kinds[0] if optional else hint, optional, default, metadata.get(KEY, About()))
