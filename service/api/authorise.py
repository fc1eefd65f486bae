"""One authorise() for every route: who may do what."""

from __future__ import annotations

import hashlib

from service.db import queries
from service.errors import ForbiddenError, UnauthenticatedError
from service.operations.actor import Actor

USER_PERMISSIONS = frozenset(
    {
        "flavor:read",
        "host:read",
        "image:read",
        "image:write",
        "job:read",
        "job:cancel",
        "network:read",
        "placement:read",
        "pool:read",
        "vm:read",
        "vm:write",
    }
)


def authenticate(header: str, request_id: str) -> Actor:
    """The actor behind an `Authorization: Bearer` header. Raises UnauthenticatedError."""
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise UnauthenticatedError("Send the API token: Authorization: Bearer <token>.")
    # A lookup by the SHA-256 of 256 random bits tells a guesser nothing by its timing.
    token = queries.token_by_sha256(hashlib.sha256(secret.strip().encode()).hexdigest())
    if token is None:
        raise UnauthenticatedError(
            "This API token is not known: it was replaced, or is another service's.", code="auth.bad_token"
        )
    return Actor(name=token.name, role=token.role, request_id=request_id)


def authorise(actor: Actor, permission: str) -> None:
    """Admins may do all, users what USER_PERMISSIONS lists. Raises ForbiddenError."""
    if actor.role == "admin" or (actor.role == "user" and permission in USER_PERMISSIONS):
        return
    raise ForbiddenError(f"The token {actor.name} ({actor.role}) has no right to {permission}.")
