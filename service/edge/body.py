"""Strict parsing of request bodies (JSON up to a size limit) and query strings."""

from __future__ import annotations

import json
import math
from typing import IO
from urllib.parse import parse_qsl

from service.errors import InvalidError
from service.json_types import Json, JsonObject

MOST_PARAMETERS = 32


def read_json(stream: IO[bytes], length: int | None, at_most_bytes: int) -> Json:
    """Return the JSON document in a body; an empty body is an empty object.

    Raises InvalidError, also on duplicate keys, NaN, infinities, numbers that are too large, invalid UTF-8 and nesting
    that would exhaust the stack.
    """
    if length is not None and length > at_most_bytes:
        raise _too_large(at_most_bytes)
    raw = _read(stream, at_most_bytes + 1 if length is None else length)
    if len(raw) > at_most_bytes:
        raise _too_large(at_most_bytes)
    if not raw.strip():
        return {}
    try:
        return _parse(raw.decode("utf-8"))
    except (ValueError, RecursionError) as failure:
        raise InvalidError(f"The body is not JSON: {failure}.", code="request.not_json") from failure


def check_media_type(header: str | None, expected: str) -> None:
    """Check the media type; a missing header is accepted.

    Raises InvalidError (`request.media_type`).
    """
    declared = (header or expected).partition(";")[0].strip().lower()
    if declared != expected:
        raise InvalidError(
            f"The body is declared '{declared[:80]}': send 'Content-Type: {expected}'.", code="request.media_type"
        )


def read_query(text: str) -> dict[str, str]:
    """Return the parameters of a query string.

    Raises InvalidError on text that is not UTF-8, and on a repeated parameter.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError as failure:
        raise InvalidError("The query cannot be parsed.", code="request.query") from failure
    query = dict(pairs)
    if len(query) != len(pairs):
        raise InvalidError("A query parameter is repeated.", code="request.query")
    return query


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        return stream.read(size)
    except OSError as failure:
        raise InvalidError("The body is incomplete or not sent as announced.", code="request.body_broken") from failure


def _parse(text: str) -> Json:
    document = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite)
    if "\\u" in text:
        # Half of a surrogate pair is no character: no database keeps it, no answer can hold it. Raises ValueError.
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _too_large(at_most_bytes: int) -> InvalidError:
    return InvalidError(f"The body is larger than {at_most_bytes} bytes.", code="request.too_large")


def _no_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key is repeated")
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number
