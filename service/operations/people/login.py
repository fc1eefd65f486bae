"""Login: a token for hours in exchange for a name and a password.

Failures are rate-limited and do not reveal whether the name or the password is wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

from service.context import Context
from service.db import people
from service.db.engine.database import transaction, unit_of_work
from service.db.tables import LoginAttempt, Token, User
from service.errors import UnauthenticatedError, UnavailableError
from service.operations import audit
from service.operations.actor import Actor
from service.operations.people import passwords, tokens

TOKEN_NAME = tokens.LOGIN
WINDOW = timedelta(seconds=60)
# Attempts allowed in a window: on one name from one address, from one address, on one name.
PER_PAIR, PER_SOURCE, PER_NAME = 5, 30, 20


def log_in(ctx: Context, actor: Actor, *, name: str, password: str) -> tuple[Token, str]:
    """Log in and return the new token and its secret.

    `actor` has the client's address. Call it outside any transaction: hashing takes long. Raises UnauthenticatedError
    (`auth.bad_login`, `auth.disabled`), UnavailableError (`auth.too_many_attempts`).
    """
    _count(ctx, actor.source, name)
    with unit_of_work(ctx.db):
        user = people.user_by_name(name)
    if not passwords.matches(user.password_hash if user else None, password) or user is None:
        raise UnauthenticatedError("The user or the password is wrong.", code="auth.bad_login")
    if user.disabled:
        raise UnauthenticatedError("This user is disabled: ask an admin.", code="auth.disabled")
    with transaction(ctx.db):
        now = people.user_by_name(name)  # the password may have been changed while this one was hashed
        if now is None or now.disabled or now.password_hash != user.password_hash:
            raise UnauthenticatedError("The user or the password is wrong.", code="auth.bad_login")
        LoginAttempt.delete().where(LoginAttempt.id == _key("pair", actor.source, name)).execute()
        return _issue(ctx, actor, user)


def log_out(ctx: Context, actor: Actor) -> None:
    """Revoke the token of this call."""
    with transaction(ctx.db):
        tokens.revoke_row(ctx, actor, Token.get_by_id(actor.token_id))


def check_password(ctx: Context, actor: Actor, user: User, password: str) -> None:
    """Check the password of a logged-in user. Raises as log_in() does."""
    _count(ctx, actor.source, user.name)
    if not passwords.matches(user.password_hash, password):
        raise UnauthenticatedError("The old password is wrong.", code="auth.bad_login")


def _issue(ctx: Context, actor: Actor, user: User) -> tuple[Token, str]:
    expires_at = ctx.clock.now() + timedelta(seconds=ctx.settings.login_ttl_s)
    token, secret = tokens.make(ctx, user, name=TOKEN_NAME, expires_at=expires_at)
    who = replace(actor, name=user.name, role=user.role, user_id=user.id)
    audit.record(ctx, who, "log_in", "token", token, after=audit.definition(token))
    return token, secret


def _count(ctx: Context, source: str, name: str) -> None:
    limits = {_key("pair", source, name): PER_PAIR, _key("source", source): PER_SOURCE, _key("name", name): PER_NAME}
    with transaction(ctx.db):
        now = ctx.clock.now()
        LoginAttempt.delete().where(LoginAttempt.began_at <= now - WINDOW).execute()
        for key, most in limits.items():
            LoginAttempt.insert(id=key, began_at=now, count=0).on_conflict(
                conflict_target=(LoginAttempt.id,), action="IGNORE"
            ).execute()
            mine = (LoginAttempt.id == key) & (LoginAttempt.count < most)
            if LoginAttempt.update(count=LoginAttempt.count + 1).where(mine).execute() != 1:
                raise UnavailableError(
                    f"Too many login attempts: retry in {WINDOW.seconds} s.", code="auth.too_many_attempts"
                )


def _key(kind: str, *parts: str) -> str:
    """Return a digest, since users sometimes type their password as the name."""
    return hashlib.sha256("\0".join((kind, *parts)).encode()).hexdigest()
