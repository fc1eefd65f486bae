"""Frozen values as plain JSON data and back: the one codec of stored facts, requests and journal pages.

Reading leaves out members that are unknown and gives missing ones their default, so that rows and backups of other
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
# A codec of its own is made of each kind's fields at first use, so that plain numbers and texts cost nothing.
_READERS: dict[type, tuple[frozenset[str], tuple[tuple[str, Convert], ...]]] = {}
_WRITERS: dict[tuple[type, bool], tuple[tuple[str, Any, Convert | None], ...]] = {}


def decode(kind: type[Value], document: Mapping[str, Json]) -> Value:
    """Return the value of a document. Raises TypeError when a member without a default is missing."""
    names, converting = _READERS.get(kind) or _reader(kind)
    members = {name: member for name, member in document.items() if name in names}
    for name, convert in converting:
        if name in members:
            members[name] = convert(members[name])
    return kind(**members)


def read(kind: type[Value], document: Mapping[str, Json] | None) -> Value | None:
    """Return the value of a column; None of None."""
    return None if document is None else decode(kind, document)


def encode(value: Any, kind: type | None = None) -> JsonObject:
    """Return every member as numbers, text, lists and dicts; with `kind` those that it has a field for."""
    members = ((name, getattr(value, name), flat) for name, _, flat in _writer(kind or type(value), whole=True))
    return {name: member if flat is None or member is None else flat(member) for name, member, flat in members}


def compact(value: Any) -> JsonObject:
    """Return the members that differ from their default. Not-a-number is kept."""
    document = {}
    for name, default, flat in _writer(type(value), whole=False):
        member = getattr(value, name)
        if member is not default and member != default:
            document[name] = member if flat is None or member is None else flat(member)
    return document


def default_of(one: Fact) -> Any:
    """Return the default as plain data; None when there is none."""
    flat = _flat(one, encode)
    return None if one.default in (MISSING, None) else one.default if flat is None else flat(one.default)


def _reader(kind: type) -> tuple[frozenset[str], tuple[tuple[str, Convert], ...]]:
    convert = [(one.name, _converter(one)) for one in facts_of(kind)]
    found = frozenset(name for name, _ in convert), tuple((name, how) for name, how in convert if how is not None)
    return _READERS.setdefault(kind, found)


def _writer(kind: type, *, whole: bool) -> tuple[tuple[str, Any, Convert | None], ...]:
    if (kind, whole) not in _WRITERS:
        inner = encode if whole else compact
        _WRITERS[kind, whole] = tuple((one.name, one.default, _flat(one, inner)) for one in facts_of(kind))
    return _WRITERS[kind, whole]


def _flat(one: Fact, inner: Convert) -> Convert | None:
    """Return what makes plain data of a member that is not None; None for members that are plain."""
    kind: Any = one.type
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return inner
    if origin is frozenset:
        return sorted
    if origin is Mapping:
        return _dict
    if origin is tuple:
        return (lambda members: [inner(member) for member in members]) if is_dataclass(parts[0]) else list
    return None


def _converter(one: Fact) -> Convert | None:
    """Return what makes a member of plain data; None for members that are taken as they are."""
    kind: Any = one.type
    if is_dataclass(kind):
        return lambda member: None if member is None else _inner(kind, member)
    if get_origin(kind) is frozenset:
        return _optional_set if one.optional else _set
    if get_origin(kind) is tuple:
        return partial(_tuple, get_args(kind)[0])
    return None


def _set(members: Any) -> frozenset[str]:
    return frozenset(members or ())


def _optional_set(members: Any) -> frozenset[str] | None:
    return None if members is None else frozenset(members)


def _dict(members: Any) -> Any:
    return dict(members) if isinstance(members, Mapping) else members


def _tuple(kind: Any, members: Any) -> tuple[Any, ...] | None:
    if members is None:
        return None
    return tuple([_inner(kind, member) for member in members]) if is_dataclass(kind) else tuple(members)


def _inner(kind: Any, member: Any) -> Any:
    return decode(kind, member) if isinstance(member, Mapping) else member  # placement/check.py judges the host
