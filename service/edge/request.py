"""Strict parsing of a WSGI environment into a call."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from service.context import Context
from service.edge.body import check_media_type, read_json, read_query
from service.edge.call import AnyCall, Call
from service.edge.route import Route
from service.edge.slots import SlotSet
from service.errors import InvalidError
from service.operations.actor import Actor
from service.settings import READ_AHEAD_BYTES

Environ = Mapping[str, Any]

LENGTH = re.compile(r"0*([0-9]+)")
LENGTH_DIGITS = 18  # more bytes than that are all the same: too many
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)


def sent_request_id(environ: Environ) -> str | None:
    """Return the client's request id; None if it is missing or not safe to log."""
    sent = header(environ, "X-Request-ID")
    return sent if REQUEST_ID.fullmatch(sent) else None


def header(environ: Environ, name: str) -> str:
    """Return a request header, each byte a character; "" if it was not sent."""
    return str(environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))


def check_path(environ: Environ) -> None:
    """Reject paths that could be read as another path or forge a log line.

    The router drops bytes that are not UTF-8, and the server decodes %2F to a slash. Raises InvalidError.
    """
    try:
        text = environ["bottle.raw_path"].encode("latin-1").decode()
    except UnicodeDecodeError as failure:
        raise InvalidError("The path is not UTF-8.", code="request.bad_path") from failure
    if not text.isprintable():
        raise InvalidError("The path contains control or invisible characters.", code="request.bad_path")
    if ENCODED_SLASH.search(str(environ.get("RAW_URI", "")).partition("?")[0].encode("latin-1", "replace")):
        raise InvalidError("The path contains an encoded slash (%2F); names contain none.", code="request.bad_path")


def read_call(
    ctx: Context, route: Route, actor: Actor, params: Mapping[str, str], environ: Environ, slots: SlotSet
) -> AnyCall:
    """Return the call with query and body as the route's models.

    Raises InvalidError, pydantic.ValidationError.
    """
    query = route.parameters.model_validate(read_query(environ.get("QUERY_STRING", "")))
    call = functools.partial(
        Call, ctx, actor, environ["PATH_INFO"], params, query, functools.partial(header, environ), slots
    )
    stream, length = environ["wsgi.input"], _content_length(environ)
    if route.body is None:
        return call(body=None)
    if route.body == "stream":
        check_media_type(_content_type(environ), "application/octet-stream")
        return call(body=None, stream=stream, stream_bytes=length)
    check_media_type(_content_type(environ), "application/json")
    at_most = route.body_limit or ctx.settings.max_body_bytes
    with _slot_to_read(slots, length, header(environ, "Expect")):
        document = read_json(stream, length, at_most)
    return call(body=route.body.model_validate(document))


def _slot_to_read(slots: SlotSet, length: int | None, expect: str) -> AbstractContextManager[None]:
    """Return a slot for a body that is large or of unknown size.

    Such a body may arrive slowly and occupies a thread. Small bodies have arrived already.
    """
    if length is not None and length <= READ_AHEAD_BYTES and not expect:
        return contextlib.nullcontext()
    return slots.uploads.one("Too many large bodies are being received: try again, or send less at once.")


def _content_length(environ: Environ) -> int | None:
    found = LENGTH.fullmatch(environ.get("CONTENT_LENGTH") or "")
    return int(found[1][: LENGTH_DIGITS + 1]) if found else None


def _content_type(environ: Environ) -> str | None:
    return environ.get("CONTENT_TYPE") or None
