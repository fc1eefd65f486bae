"""Authentication: from the token in the header to an actor and its project."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

from service.db import people, queries
from service.db.scope import Scope
from service.db.tables import Project, Token
from service.errors import FieldError, InvalidError, UnauthenticatedError
from service.operations.actor import Actor
from service.operations.people.login import TOKEN_NAME

LONGEST_REASON = 255
MEMBER = "user"


def authenticate(authorization: str, now: datetime) -> Actor:
    """Return the actor of an `Authorization: Bearer` header.

    Raises UnauthenticatedError (`auth.*`).
    """
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise UnauthenticatedError("Send the API token: Authorization: Bearer <token>.")
    # A lookup by the SHA-256 of 256 random bits tells a guesser nothing by its timing.
    token = people.token_by_sha256(hashlib.sha256(secret.strip().encode()).hexdigest())
    if token is None:
        raise UnauthenticatedError(
            "This API token is unknown: it was deleted, or belongs to another service.", code="auth.bad_token"
        )
    return _actor(token, now)


def renewed(actor: Actor, now: datetime) -> Actor:
    """Return the actor as of now, for a long-running call.

    Meanwhile the token may expire, and permissions and memberships change. Raises UnauthenticatedError if the token is
    no longer valid.
    """
    token = people.token_by_id(actor.token_id or "")
    if token is None:
        raise UnauthenticatedError("This API token was deleted.", code="auth.bad_token")
    fresh = _actor(token, now)
    return replace(fresh, request_id=actor.request_id, source=actor.source, reason=actor.reason)


def in_project(actor: Actor, ref: str | None) -> Actor:
    """Return the actor with the project that the query names.

    Raises NotFoundError (`project.not_found`).
    """
    if ref is None:
        return actor
    project = queries.get(Project, ref, actor.scope)
    return replace(actor, scope=Scope(project.id, frozenset({project.id})))


def stated_reason(header: str) -> str:
    """Return the reason for the audit from the `X-Reason` header.

    Raises InvalidError if it is not one line of text.
    """
    try:
        reason = header.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        reason = "\0"
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        rule = f"one line of text in UTF-8, at most {LONGEST_REASON} characters"
        raise InvalidError(f"X-Reason must be {rule}.", errors=(FieldError("X-Reason", rule),))
    return reason


def _actor(token: Token, now: datetime) -> Actor:
    _check_is_good(token, now)
    role = token.user.role
    return Actor(
        name=token.user.name,
        user_id=token.user.id,
        token_id=token.id,
        expires_at=token.expires_at,
        # A token that reaches one project is no way to the cloud's own things.
        role=MEMBER if token.project_id is not None and role in people.SEES_EVERYTHING else role,
        permissions=None if token.permissions is None else frozenset(token.permissions),
        scope=people.scope_of(token.user, token.project_id),
        is_limited=_is_limited(token),
        request_id="",
    )


def _check_is_good(token: Token, now: datetime) -> None:
    if token.revoked_at is not None:
        raise UnauthenticatedError("This API token was revoked: log in, or use another one.", code="auth.revoked")
    if token.expires_at is not None and token.expires_at <= now:
        raise UnauthenticatedError("This API token has expired: log in again, or use another one.", code="auth.expired")
    if token.user.disabled:
        raise UnauthenticatedError("This user is disabled: ask an admin.", code="auth.disabled")


def _is_limited(token: Token) -> bool:
    expires = token.expires_at is not None and token.name != TOKEN_NAME
    return expires or token.permissions is not None or token.project_id is not None
