"""JSON encoding of step results and arguments, lossless across a crash."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TypeVar

from service.json_types import Json
from storage.refs import ImageRef, VolumeInfo, VolumeRef

T = TypeVar("T")
TAGS = ("$type", "$tuple", "$utc")
_TYPES: dict[str, type] = {}


class CodecError(Exception):
    """The value cannot be encoded, or a persisted one cannot be decoded."""


def persisted(cls: type[T]) -> type[T]:
    """Register a frozen dataclass for use in step results and arguments.

    A class decorator; values are stored under the class's name. Raises CodecError when another class has that name.
    """
    if not is_dataclass(cls) or _TYPES.setdefault(cls.__name__, cls) is not cls:
        raise CodecError(f"{cls.__qualname__} is no dataclass, or its name is taken")
    return cls


for _ref in (VolumeRef, ImageRef, VolumeInfo):
    persisted(_ref)


def encode(value: object) -> Json:
    """Return the value as JSON data. Raises CodecError for any other type.

    Accepts None, bool, int, float, str, list, tuple, dict with text keys, datetime and @persisted dataclasses.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [encode(item) for item in value]
        case tuple():
            return {"$tuple": [encode(item) for item in value]}
        case datetime() if value.tzinfo is not None:
            return {"$utc": value.isoformat()}
        case dict() if all(isinstance(key, str) and key not in TAGS for key in value):
            return {key: encode(item) for key, item in value.items()}
    return _encode_dataclass(value)


def _encode_dataclass(value: object) -> dict[str, Json]:
    name = type(value).__name__
    if not is_dataclass(value) or _TYPES.get(name) is not type(value):
        raise CodecError(f"{value!r}: only plain data and @persisted dataclasses can be kept")
    return {"$type": name, **{field.name: encode(getattr(value, field.name)) for field in fields(value)}}


def decode(data: Json) -> Json:
    """Return the value of encode()d data. Raises CodecError for an unknown type."""
    match data:
        case list():
            return [decode(item) for item in data]
        case {"$tuple": items}:
            return tuple(decode(item) for item in items)
        case {"$utc": text}:
            return datetime.fromisoformat(text)
        case {"$type": name}:
            return _decode_dataclass(name, {key: item for key, item in data.items() if key != "$type"})
        case dict():
            return {key: decode(item) for key, item in data.items()}
    return data


def _decode_dataclass(name: str, values: dict[str, Json]) -> Json:
    try:
        return _TYPES[name](**{key: decode(item) for key, item in values.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise CodecError(f"{name} with {', '.join(values)}: this version knows no such type") from error
