"""The bytes of a request as values: JSON within a limit, strictly, and the query string."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import IO, Any
from urllib.parse import parse_qsl

from service.errors import FieldError, InvalidError


def read_json(stream: IO[bytes], length: int | None, at_most_bytes: int) -> Any:
    """The JSON document in a body; an empty body is an empty object. Raises InvalidError.

    Refused: duplicate keys, NaN and infinities (no JSON), nesting that would exhaust the stack.
    """
    if length is not None and length > at_most_bytes:
        raise _too_large(at_most_bytes)
    raw = stream.read(at_most_bytes + 1 if length is None else length)
    if len(raw) > at_most_bytes:
        raise _too_large(at_most_bytes)
    if not raw.strip():
        return {}
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as failure:
        raise InvalidError(f"The body is not JSON: {failure}.", code="request.not_json") from failure


def check_media_type(header: str | None, expected: str) -> None:
    """Raises InvalidError (`request.media_type`) when the body is declared to be something else. No header is fine."""
    declared = (header or expected).partition(";")[0].strip().lower()
    if declared != expected:
        raise InvalidError(
            f"The body is declared '{declared[:80]}': send 'Content-Type: {expected}'.", code="request.media_type"
        )


def read_query(text: str, allowed: Collection[str]) -> dict[str, str]:
    """The query's parameters. Raises InvalidError on text that is not UTF-8, on a parameter that comes twice, and on
    one that is not `allowed`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError as failure:
        raise InvalidError("The query cannot be read.", code="request.query") from failure
    query = dict(pairs)
    if len(query) != len(pairs):
        raise InvalidError("A query parameter comes twice.", code="request.query")
    unknown = sorted(set(query) - set(allowed))
    if unknown:
        told = f"is no parameter here: known are {', '.join(sorted(allowed))}"
        errors = tuple(FieldError(name[:80], told) for name in unknown)
        raise InvalidError("The query has parameters that are not known here: see errors.", errors=errors)
    return query


def _too_large(at_most_bytes: int) -> InvalidError:
    return InvalidError(f"The body is larger than {at_most_bytes} bytes.", code="request.too_large")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key comes twice")
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
