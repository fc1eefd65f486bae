"""Layer for `Idempotency-Key`: a repeated POST gets the response of the first one.

After draft-ietf-httpapi-idempotency-key-header. The key's row is written in the transaction that does the work, so a
process that is killed leaves both or neither. Concurrent duplicates wait for the database's write lock and then find
the response. Errors are not stored: they changed nothing, and a repeated request is a new attempt.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass

from cryptography.fernet import Fernet
from pydantic import BaseModel, SecretStr

from service.db.engine.database import transaction
from service.db.tables import IdempotencyKey
from service.edge.call import Accepted, AnyCall, Outcome, Reply
from service.edge.route import Handler, Route
from service.errors import FieldError, InvalidError
from service.jobs.views import job_view
from service.json_types import Json, JsonObject
from service.operations.secret_key import derive
from service.views.jobs import show_job

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotency-Replayed": "true"}
# A UUID, as a rule; with the quotes of the draft (a string of RFC 9651) or without.
KEY = re.compile(r'("?)([\x21\x23-\x5b\x5d-\x7e]{1,255})\1')


@dataclass(frozen=True, slots=True)
class Request:
    """Digests of a request with a key; neither key nor body can be read from them."""

    row_id: str
    fingerprint: str
    sealing_key: bytes


def answered_once(route: Route, handler: Handler, call: AnyCall) -> Outcome:
    """Return the stored response of a repeated request, else call the handler.

    Raises InvalidError (`idempotency.bad_key`, `idempotency.mismatch`).
    """
    key = _key(call.header(HEADER)) if route.method == "POST" and route.permission else None
    if key is None or getattr(call.query, "dry_run", False):
        return handler(call)
    request = _request(route, call, key)
    with transaction(call.ctx.db):
        kept = _kept(request)
        if kept is not None:
            return _replay(request, kept, call)
        outcome = handler(call)
        return _keep(request, call, outcome)


def _keep(request: Request, call: AnyCall, outcome: Outcome) -> Outcome:
    """Store the response; a job as it is now, so that every duplicate gets the same bytes."""
    match outcome:
        case Accepted():
            body = _bytes(show_job(job_view(outcome.job_id)))
            headers = {"Location": f"/v1/jobs/{outcome.job_id}"}
            _insert(request, call, status=202, body=body, job_id=outcome.job_id, location=headers["Location"])
            return outcome if _waits(call) else Reply(body, 202, headers)
        case Reply():
            body = outcome.body if isinstance(outcome.body, bytes) else _bytes(outcome.body)
            location = outcome.headers.get("Location")
            _insert(request, call, status=outcome.status, body=body, location=location)
    return outcome


def _replay(request: Request, kept: IdempotencyKey, call: AnyCall) -> Outcome:
    if kept.job_id is not None and _waits(call):
        return Accepted(kept.job_id)
    body = Fernet(request.sealing_key).decrypt(bytes(kept.body))
    headers = REPLAYED | ({"Location": kept.location} if kept.location else {})
    return Reply(body or None, kept.status, headers)


def _kept(request: Request) -> IdempotencyKey | None:
    row: IdempotencyKey | None = IdempotencyKey.get_or_none(IdempotencyKey.id == request.row_id)
    if row is not None and row.fingerprint != request.fingerprint:
        raise InvalidError(
            "This Idempotency-Key was used for another request: use a new key for each request.",
            code="idempotency.mismatch",
        )
    return row


def _insert(request: Request, call: AnyCall, *, status: int, body: bytes, **more: Json) -> None:
    IdempotencyKey.insert(
        id=request.row_id,
        created_at=call.ctx.clock.now(),
        fingerprint=request.fingerprint,
        status=status,
        body=Fernet(request.sealing_key).encrypt(body),
        **more,
    ).execute()


def _key(header: str) -> str | None:
    if not header:
        return None
    found = KEY.fullmatch(header)
    if found is None:
        rule = "1 to 255 visible ASCII characters without quotes, such as a UUID"
        raise InvalidError(
            f"{HEADER} must be {rule}.", code="idempotency.bad_key", errors=(FieldError(HEADER.lower(), rule),)
        )
    return found[2]


def _request(route: Route, call: AnyCall, key: str) -> Request:
    """Return the digests. Keys are per user and project; every digest contains the key."""
    actor = call.actor
    owner = (actor.user_id or actor.name, actor.project_id or "")
    asked = (route.method, route.path, dict(call.params), _plain(call.query, {"wait"}), _plain(call.body))
    sealing_key = derive(call.ctx.settings.secret_key_path, "idempotency", *owner, key)
    return Request(_digest(*owner, key), _digest(key, *asked), base64.urlsafe_b64encode(sealing_key))


def _digest(*parts: Json) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=_revealed).encode()).hexdigest()


def _plain(model: BaseModel | None, without: set[str] | None = None) -> JsonObject | None:
    return None if model is None else model.model_dump(exclude=without)


def _revealed(value: Json) -> Json:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _waits(call: AnyCall) -> bool:
    return bool(getattr(call.query, "wait", 0.0) > 0)


def _bytes(document: Json) -> bytes:
    return b"" if document is None else json.dumps(document).encode()
