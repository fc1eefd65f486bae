"""Create, change and delete users.

A user's role gives permissions, its memberships the projects where they hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.context import Context
from service.db import queries
from service.db.engine.database import transaction
from service.db.tables import Membership, Project, Token, User
from service.errors import ConflictError
from service.operations import audit
from service.operations.actor import Actor
from service.operations.people import login, passwords


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be created. Without a password it can authenticate by tokens only."""

    name: str
    role: str
    password: str | None
    projects: Sequence[str]


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of a user; None keeps a value."""

    role: str | None = None
    disabled: bool | None = None
    password: str | None = None


def create(ctx: Context, actor: Actor, new: NewUser) -> User:
    """Create the user, a member of `projects`.

    Raises ConflictError (`user.name_taken`), InvalidError.
    """
    password_hash = passwords.hashed(new.password) if new.password is not None else None
    with transaction(ctx.db):
        if queries.find(User, new.name, actor.scope) is not None:
            raise ConflictError(f"There is a user '{new.name}' already.", code="user.name_taken")
        projects = [queries.referenced(Project, ref, "projects", actor.scope) for ref in new.projects]
        user: User = User.create(
            id=ctx.ids.uuid(),
            created_at=ctx.clock.now(),
            name=new.name,
            role=new.role,
            password_hash=password_hash,
        )
        for project in {project.id: project for project in projects}.values():
            Membership.create(user=user, project=project)
        named = [project.name for project in projects]
        audit.record(ctx, actor, "create_user", "user", user, after=audit.definition(user), projects=named)
        return user


def change(ctx: Context, actor: Actor, ref: str, changes: Changes) -> User:
    """Change role or password, or disable or enable the user.

    Raises ConflictError (`user.last_admin`).
    """
    password_hash = passwords.hashed(changes.password) if changes.password is not None else None
    values = {"role": changes.role, "disabled": changes.disabled, "password_hash": password_hash}
    values = {name: value for name, value in values.items() if value is not None}
    with transaction(ctx.db):
        user = queries.get(User, ref, actor.scope)
        _update(ctx, actor, user, values)
        _check_an_admin_is_left()
        return queries.by_id(User, user.id)


def change_own_password(ctx: Context, actor: Actor, *, old: str, new: str) -> None:
    """Change the actor's own password.

    Raises UnauthenticatedError (`auth.bad_login`), UnavailableError.
    """
    user = queries.by_id(User, actor.user_id or "")
    login.check_password(ctx, actor, user, old)
    password_hash = passwords.hashed(new)
    with transaction(ctx.db):
        _update(ctx, actor, user, {"password_hash": password_hash})


def delete(ctx: Context, actor: Actor, ref: str) -> None:
    """Delete the user with all tokens; its objects stay.

    Raises ConflictError (`user.last_admin`).
    """
    with transaction(ctx.db):
        user = queries.get(User, ref, actor.scope)
        audit.record(ctx, actor, "delete_user", "user", user, before=audit.definition(user))
        user.delete_instance()
        _check_an_admin_is_left()


def _update(ctx: Context, actor: Actor, user: User, values: Mapping[str, object]) -> None:
    before = audit.definition(user)
    if values:
        User.update(**values).where(User.id == user.id).execute()
    if "password_hash" in values:  # end the sessions that were opened with the old one
        logins = (Token.user == user) & (Token.name == login.TOKEN_NAME) & Token.revoked_at.is_null()
        Token.update(revoked_at=ctx.clock.now()).where(logins & (Token.id != (actor.token_id or ""))).execute()
    after = audit.definition(queries.by_id(User, user.id))
    changed_password = "password_hash" in values
    audit.record(ctx, actor, "update_user", "user", user, before=before, after=after, password=changed_password)


def _check_an_admin_is_left() -> None:
    if not User.select().where((User.role == "admin") & (User.disabled == False)).exists():  # noqa: E712 - SQL
        raise ConflictError("This is the last admin who can log in: create another first.", code="user.last_admin")
