"""API tokens: 256 random bits, shown once; only their SHA-256 is stored."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.context import Context
from service.db import people, queries
from service.db.engine.database import transaction
from service.db.tables import Membership, Project, Token, User
from service.errors import ConflictError, FieldError, ForbiddenError, InvalidError
from service.operations import audit
from service.operations.actor import SERVICE, Actor
from service.operations.authorise import MAY, covers

PREFIX = "nacre_"
LOGIN = "login"  # name of tokens made by logging in
LOGIN_PREFIX = PREFIX + "login_"  # so that the command line deletes no other token
# For so long a refused token still gets the reason: revoked or expired.
KEEP_ENDED = timedelta(days=30)
RESERVED = frozenset({LOGIN})


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be created.

    `user` None means the actor; `permissions` None means all of the role.
    """

    name: str
    user: str | None
    permissions: tuple[str, ...] | None
    project: str | None
    lifetime: timedelta | None


def new_secret(prefix: str = PREFIX) -> str:
    """Return 256 random bits as text."""
    return prefix + secrets.token_urlsafe(32)


def issue(ctx: Context, actor: Actor, new: NewToken) -> tuple[Token, str]:
    """Create a token; return it with its secret, which cannot be shown again.

    Raises ForbiddenError for a token that is itself limited, InvalidError (`token.unknown_permission`,
    `project.not_found`, `user.not_found`), ConflictError (`token.name_taken`).
    """
    if actor.is_limited:
        raise ForbiddenError("This token is limited and may create no others: log in with a password.")
    _check_permissions(new.permissions or ())
    with transaction(ctx.db):
        user = _user_for(actor, new.user)
        if new.name in RESERVED or people.valid_token(user.id, new.name, ctx.clock.now()) is not None:
            raise ConflictError(f"{user.name} has a token '{new.name}' already: revoke it.", code="token.name_taken")
        _delete_long_ended(ctx, user)
        token, secret = make(
            ctx,
            user,
            name=new.name,
            permissions=None if new.permissions is None else sorted(new.permissions),
            project=_project_for(user, new.project),
            expires_at=None if new.lifetime is None else ctx.clock.now() + new.lifetime,
        )
        audit.record(ctx, actor, "create_token", "token", token, after=audit.definition(token), user=user.name)
        return token, secret


def make(
    ctx: Context,
    user: User,
    *,
    name: str,
    expires_at: datetime | None,
    permissions: list[str] | None = None,
    project: Project | None = None,
) -> tuple[Token, str]:
    """Create the row in the caller's transaction; return it with its secret."""
    secret = new_secret(LOGIN_PREFIX if name == LOGIN else PREFIX)
    token = Token.create(
        id=ctx.ids.uuid(),
        created_at=ctx.clock.now(),
        user=user,
        name=name,
        sha256=_digest(secret),
        permissions=permissions,
        project=project,
        expires_at=expires_at,
    )
    return token, secret


def revoke(ctx: Context, actor: Actor, ref: str) -> None:
    """Revoke one of the actor's tokens by id or name; admins any token by id."""
    with transaction(ctx.db):
        revoke_row(ctx, actor, visible(ctx, actor, ref))


def visible(ctx: Context, actor: Actor, ref: str) -> Token:
    """Return one of the actor's tokens by id or name; to admins any token by id.

    Raises NotFoundError.
    """
    token = people.token_by_id(ref)
    if token is None or (token.user_id != actor.user_id and actor.role != "admin"):
        token = people.valid_token(actor.user_id or "", ref, ctx.clock.now())
    if token is None:
        raise queries.not_found("token", ref)
    return token


def revoke_row(ctx: Context, actor: Actor, token: Token) -> None:
    """Revoke a token in the caller's transaction; does nothing if it has ended."""
    Token.update(revoked_at=ctx.clock.now()).where((Token.id == token.id) & Token.revoked_at.is_null()).execute()
    audit.record(ctx, actor, "revoke_token", "token", token, before=audit.definition(token), user=token.user.name)


def create(ctx: Context, *, name: str, role: str, secret: str) -> None:
    """Create a user and a token of this name, for the server's command line.

    The token replaces the user's one of this name. A new user whose role sees only its own projects becomes a member of
    the project `default`.
    """
    with transaction(ctx.db):
        user = _user(ctx, name, role)
        Token.delete().where((Token.user == user) & (Token.name == name)).execute()
        token = Token.create(
            id=ctx.ids.uuid(), created_at=ctx.clock.now(), user=user, name=name, sha256=_digest(secret)
        )
        audit.record(ctx, SERVICE, "create_token", "token", token, user=name, role=role)


def _user(ctx: Context, name: str, role: str) -> User:
    user: User | None = User.get_or_none(User.name == name)
    if user is not None:
        User.update(role=role).where(User.id == user.id).execute()
        return user
    user = User.create(id=ctx.ids.uuid(), created_at=ctx.clock.now(), name=name, role=role)
    project_id = people.default_project_id()
    if role not in people.SEES_EVERYTHING and project_id is not None:
        Membership.create(user=user, project=project_id)
    return user


def _user_for(actor: Actor, ref: str | None) -> User:
    if ref is None or ref in (actor.name, actor.user_id):
        return queries.by_id(User, actor.user_id or "")
    if actor.role != "admin":
        raise ForbiddenError("Only admins may create tokens for other users.")
    return queries.referenced(User, ref, "user", actor.scope)


def _project_for(user: User, ref: str | None) -> Project | None:
    if ref is None:
        return None
    project = queries.find(Project, ref, people.scope_of(user))
    if project is None:
        detail = f"There is no project '{ref[: queries.LONGEST_ECHO]}' of which {user.name} is a member."
        raise InvalidError(detail, code="project.not_found", errors=(FieldError("project", detail),))
    return project


def _check_permissions(permissions: tuple[str, ...]) -> None:
    unknown = [wanted for wanted in permissions if not any(covers(wanted, known) for known in MAY)]
    if unknown:
        text = (
            f"'{unknown[0][: queries.LONGEST_ECHO]}' matches no permission: use one such as 'vm:read', 'vm:*', '*:read'"
        )
        raise InvalidError(f"{text}.", code="token.unknown_permission", errors=(FieldError("permissions", text),))


def _delete_long_ended(ctx: Context, user: User) -> None:
    before = ctx.clock.now() - KEEP_ENDED
    ended = (Token.expires_at < before) | (Token.revoked_at < before)
    Token.delete().where((Token.user == user) & ended).execute()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
