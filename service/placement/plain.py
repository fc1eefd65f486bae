"""Facts and requests as plain data, and back: exactly what they were, without what is at its default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from types import MappingProxyType
from typing import Any, TypeVar

from service.placement.facts import GroupRule, HostFacts, HostStorage, HostUsage, PoolFacts, VmRequest

Value = TypeVar("Value", HostFacts, VmRequest, HostStorage, HostUsage, PoolFacts, GroupRule)
Plain = dict[str, Any]


def plain(value: HostFacts | VmRequest | HostStorage | HostUsage | PoolFacts | GroupRule) -> Plain:
    """Numbers, text, lists and dicts. Not-a-number is kept, too: nonsense is part of what was seen."""
    told = {name: getattr(value, name) for name, _ in _DEFAULTS[type(value)]}
    return {name: _flat(told[name]) for name, default in _DEFAULTS[type(value)] if told[name] != default}


def host_facts(told: Mapping[str, Any]) -> HostFacts:
    """The host that plain() was given."""
    return _value(HostFacts, told)


def vm_request(told: Mapping[str, Any]) -> VmRequest:
    """The request that plain() was given."""
    return _value(VmRequest, told)


def _value(kind: type[Value], told: Mapping[str, Any]) -> Value:
    return kind(**{name: _INTO[name](value) if name in _INTO else value for name, value in told.items()})


def _flat(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_flat(one) for one in value]
    return plain(value) if type(value) in _DEFAULTS else value


def _set(value: Any) -> frozenset[str] | None:
    return None if value is None else frozenset(value)


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


_DEFAULTS: Mapping[type, tuple[tuple[str, Any], ...]] = {
    kind: tuple((field.name, _default(field)) for field in fields(kind))
    for kind in (HostFacts, VmRequest, HostStorage, HostUsage, PoolFacts, GroupRule)
}
_INTO: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("firmwares", "cpu_features", "bridges", "host_groups", "excluded_hosts"), _set),
    **dict.fromkeys(("projects", "members", "local_reads"), MappingProxyType),
    "storage": lambda told: _value(HostStorage, told),
    "usage": lambda told: _value(HostUsage, told),
    "pools": lambda told: tuple(_value(PoolFacts, one) for one in told),
    "rules": lambda told: tuple(_value(GroupRule, one) for one in told),
}
