"""Frozen values as plain JSON data and back: the one codec of stored facts, requests and journal pages.

Reading leaves out members that are unknown and gives missing ones their default, so that rows and back-ups of other
versions can be read. Values are taken as they are: placement/check.py rejects hosts with invalid facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, is_dataclass
from functools import partial
from typing import Any, TypeVar, get_args, get_origin

from service.facts.fact import Fact, facts_of
from service.json_types import Json, JsonObject

Value = TypeVar("Value")
Convert = Callable[[Any], Any]
_PLANS: dict[type, dict[str, Convert | None]] = {}


def decode(kind: type[Value], document: Mapping[str, Json]) -> Value:
    """Return the value of a document. Raises TypeError when a member without a default is missing."""
    plan = _converters(kind)
    members = {}
    for name, member in document.items():
        if name in plan:
            convert = plan[name]
            members[name] = member if convert is None else convert(member)
    return kind(**members)


def read(kind: type[Value], document: Mapping[str, Json] | None) -> Value | None:
    """Return the value of a column; None of None."""
    return None if document is None else decode(kind, document)


def encode(value: Any, kind: type | None = None) -> JsonObject:
    """Return every member as numbers, text, lists and dicts; with `kind` those that it has a field for."""
    return {one.name: _flat(getattr(value, one.name), encode) for one in facts_of(kind or type(value))}


def compact(value: Any) -> JsonObject:
    """Return the members that differ from their default. Not-a-number is kept."""
    members = ((one, getattr(value, one.name)) for one in facts_of(type(value)))
    return {one.name: _flat(member, compact) for one, member in members if member != one.default}


def default_of(one: Fact) -> Any:
    """Return the default as plain data; None when there is none."""
    return None if one.default is MISSING else _flat(one.default, encode)


def _flat(value: Any, inner: Callable[[Any], JsonObject]) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return [_flat(part, inner) for part in value]
    return inner(value) if is_dataclass(value) else value


def _converters(kind: type) -> dict[str, Convert | None]:
    if kind not in _PLANS:
        _PLANS[kind] = {one.name: _converter(one) for one in facts_of(kind)}
    return _PLANS[kind]


def _converter(one: Fact) -> Convert | None:
    """Return None for members that are taken as they are."""
    kind = one.type
    if is_dataclass(kind):
        convert: Convert = partial(_inner, kind)
    elif get_origin(kind) is frozenset:
        convert = _optional_set if one.optional else _set
    elif get_origin(kind) is tuple:
        convert = partial(_tuple, get_args(kind)[0])
    else:
        return None
    return convert


def _set(members: Any) -> frozenset[str]:
    return frozenset(members or ())


def _optional_set(members: Any) -> frozenset[str] | None:
    return None if members is None else frozenset(members)


def _tuple(kind: Any, members: Any) -> tuple[Any, ...] | None:
    if members is None:
        return None
    return tuple(_inner(kind, member) for member in members) if is_dataclass(kind) else tuple(members)


def _inner(kind: Any, member: Any) -> Any:
    return read(kind, member)
