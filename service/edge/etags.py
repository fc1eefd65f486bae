"""ETags and preconditions (RFC 9110, sections 8.8 and 13).

An entity tag has two halves, `"<definition>.<response>"`: the first changes with the object's definition, the second
also with observations of it. `If-None-Match` compares both, so that no change is missed. `If-Match` compares the first
half only, so that a guest that powered off meanwhile does not reject a client's change.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re

from service.db.engine.database import transaction
from service.edge.call import JSON, AnyCall, Outcome, Reply
from service.edge.route import Handler, Route
from service.errors import ConflictError, InvalidError, NotFoundError
from service.json_types import Json

TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
OBJECT = re.compile(r"(/v1/[a-z-]+/<ref>)(/.*)?")
# What happens to an object, not what it is meant to be.
OBSERVED = frozenset(
    (
        "state", "observed_state", "observed_at", "desired_state", "host", "epoch", "virt_type", "machine", "facts",
        "problem", "allocated", "pending", "progress", "used", "last_used_at", "offset", "broken",
        "broken_rules", "overcommitted_by", "usable", "free", "reserved_for_osds", "usage", "usage_observed_at",
        "storage", "storage_observed_at",
    )
)  # fmt: skip


def tagged(route: Route, handler: Handler, call: AnyCall) -> Outcome:
    """Add an ETag to a JSON response of GET; return 304 if the client has it already."""
    outcome = handler(call)
    if route.method != "GET" or not isinstance(outcome, Reply) or outcome.body is None or outcome.media_type != JSON:
        return outcome
    raw = outcome.body if isinstance(outcome.body, bytes) else json.dumps(outcome.body).encode()
    shown = OBJECT.fullmatch(route.path)
    definition = definition_of(_document(outcome)) if shown and not shown[2] else ""
    etag = f'"{definition}.{_short(raw)}"'
    headers = {**outcome.headers, "ETag": etag, "Cache-Control": "private, no-cache"}
    if matches(call.header("If-None-Match"), etag):
        return Reply(None, 304, headers)
    return dataclasses.replace(outcome, body=raw, headers=headers)


def guarded(getters: dict[str, Route], route: Route, handler: Handler, call: AnyCall) -> Outcome:
    """Check `If-Match` and `If-None-Match: *` in the transaction of a change.

    Raises ConflictError (`object.changed`, `object.exists`), InvalidError (`request.precondition`).
    """
    if_match, if_none_match = call.header("If-Match"), call.header("If-None-Match")
    if route.method == "GET" or not (if_match or if_none_match):
        return handler(call)
    found = OBJECT.fullmatch(route.path)
    getter = getters.get(found[1]) if found else None
    streams = route.body == "stream"  # the transaction would last as long as the body comes
    if getter is None or streams or (if_none_match and if_none_match.strip() != "*"):
        raise InvalidError("This request does not support the precondition.", code="request.precondition")
    with transaction(call.ctx.db):
        current = _current(getter, call)
        if if_match and not _is_current(if_match, current):
            raise ConflictError("The object was changed meanwhile: read it again.", code="object.changed")
        if if_none_match and current is not None:
            raise ConflictError("The object exists already.", code="object.exists")
        return handler(call)


def getters(routes: tuple[Route, ...]) -> dict[str, Route]:
    """Return the routes that show an object, by path."""
    return {route.path: route for route in routes if route.method == "GET" and OBJECT.fullmatch(route.path)}


def guard(routes: tuple[Route, ...]) -> Json:
    """Return guarded() with the routes bound."""
    return functools.partial(guarded, getters(routes))


def matches(header: str, etag: str) -> bool:
    """Return True if `If-None-Match` contains the tag (weak comparison)."""
    return header.strip() == "*" or etag.strip('"') in {tag for _, tag in TAG.findall(header)}


def definition_of(body: Json) -> str:
    """Return a digest of the object's definition."""
    return _short(json.dumps(_meant(body), sort_keys=True).encode())


def _meant(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _meant(item) for key, item in value.items() if key not in OBSERVED}
    return [_meant(item) for item in value] if isinstance(value, list) else value


def _is_current(header: str, current: Json) -> bool:
    if current is None:
        return False
    wanted = {tag.partition(".")[0] for weak, tag in TAG.findall(header) if not weak}
    return header.strip() == "*" or definition_of(current) in wanted


def _current(getter: Route, call: AnyCall) -> Json:
    """Return the object as its GET shows it, or None if the caller sees none."""
    try:
        outcome = getter.handler(dataclasses.replace(call, query=getter.parameters(), body=None))
    except NotFoundError:
        return None
    return _document(outcome) if isinstance(outcome, Reply) else None


def _document(reply: Reply) -> Json:
    return json.loads(reply.body) if isinstance(reply.body, bytes) else reply.body


def _short(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=9).hexdigest()
