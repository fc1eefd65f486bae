"""API tokens: 256 random bits that are shown once; only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
import secrets

from service.context import Context
from service.db.database import transaction
from service.db.tables import Token
from service.operations import audit
from service.operations.actor import SERVICE

ROLES = ("admin", "user")
PREFIX = "nacre_"


def new_secret() -> str:
    """256 random bits as text."""
    return PREFIX + secrets.token_urlsafe(32)


def create(ctx: Context, *, name: str, role: str, secret: str) -> None:
    """Make a token, in place of one of the same name."""
    with transaction(ctx.db):
        Token.delete().where(Token.name == name).execute()
        token = Token.create(
            id=ctx.ids.uuid(),
            created_at=ctx.clock.now(),
            name=name,
            sha256=hashlib.sha256(secret.encode()).hexdigest(),
            role=role,
        )
        audit.record(ctx, SERVICE, "create_token", "token", token, role=role)
