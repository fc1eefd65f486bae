"""Users, log-ins and tokens over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from service.api import show
from service.api.call import Call, Reply
from service.api.models.people import (
    ChangeOwnPassword,
    ChangeUser,
    CreateToken,
    CreateUser,
    ListTokens,
    LogIn,
)
from service.api.paging import each, equal, named
from service.db import people, queries
from service.db.tables import Project, Token, User
from service.operations import login, tokens, users

HASHING = "Too many passwords are being checked: try again in a moment."


def log_in(call: Call) -> Reply:
    """Get a token of some hours for a name and a password."""
    body = cast(LogIn, call.body)
    with call.slots.logins.one(HASHING):
        token, secret = login.log_in(call.ctx, call.actor, name=body.user, password=body.password.get_secret_value())
    shown = {"token": secret, "expires_at": show.time(token.expires_at), "user": token.user.name}
    return Reply({**shown, "role": token.user.role}, status=201)


def log_out(call: Call) -> Reply:
    """Revoke the token of this very call."""
    login.log_out(call.ctx, call.actor)
    return Reply(None, status=204)


def me(call: Call) -> Reply:
    """Who asks, with what rights, and in which project."""
    actor = call.actor
    projects = {project.id: show.named(project) for project in queries.everything(Project, actor.scope)}
    return Reply(
        {
            "id": actor.user_id,
            "name": actor.name,
            "role": actor.role,
            "permissions": None if actor.permissions is None else sorted(actor.permissions),
            "project": projects.get(actor.project_id or ""),
            "projects": list(projects.values()),
        }
    )


def change_own_password(call: Call) -> Reply:
    """Change one's own password; every other log-in ends."""
    body = cast(ChangeOwnPassword, call.body)
    old, new = body.old_password.get_secret_value(), body.password.get_secret_value()
    with call.slots.logins.one(HASHING):
        users.change_own_password(call.ctx, call.actor, old=old, new=new)
    return Reply(None, status=204)


def list_users(call: Call) -> Reply:
    """All users."""
    found = equal(call, User.select(), name=User.name, role=User.role)
    return named(call, found, User, each(_user))


def one_user(call: Call) -> Reply:
    """One user, and the projects that they work in."""
    return Reply(_user(queries.get(User, call.ref, call.actor.scope)))


def create_user(call: Call) -> Reply:
    """Make a user."""
    body = cast(CreateUser, call.body)
    password = body.password.get_secret_value() if body.password is not None else None
    new = users.NewUser(name=body.name, role=body.role, password=password, projects=tuple(body.projects))
    with call.slots.logins.one(HASHING):
        return Reply(_user(users.create(call.ctx, call.actor, new)), status=201)


def change_user(call: Call) -> Reply:
    """Change a user's role or password, shut them out or let them in again."""
    body = cast(ChangeUser, call.body)
    password = body.password.get_secret_value() if body.password is not None else None
    changes = users.Changes(role=body.role, disabled=body.disabled, password=password)
    with call.slots.logins.one(HASHING):
        return Reply(_user(users.change(call.ctx, call.actor, call.ref, changes)))


def delete_user(call: Call) -> Reply:
    """Remove a user with all tokens. What they made stays."""
    users.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def list_tokens(call: Call) -> Reply:
    """One's own tokens that open the door; admins may ask for another user's."""
    asked = cast(ListTokens, call.query)
    user_id = call.actor.user_id or ""
    if asked.user is not None:
        user = queries.find(User, asked.user, call.actor.scope)
        if user is None or (call.actor.role != "admin" and user.id != user_id):
            raise queries.not_found("user", asked.user)
        user_id = user.id
    return Reply({"items": [_token(token) for token in people.living_tokens(user_id, call.ctx.clock.now())]})


def create_token(call: Call) -> Reply:
    """Make a token. Its secret is shown this once."""
    body = cast(CreateToken, call.body)
    new = tokens.NewToken(
        name=body.name,
        user=body.user,
        permissions=None if body.permissions is None else tuple(body.permissions),
        project=body.project,
        lifetime=None if body.expires_in_s is None else timedelta(seconds=body.expires_in_s),
    )
    token, secret = tokens.issue(call.ctx, call.actor, new)
    return Reply({**_token(token), "token": secret}, status=201)


def revoke_token(call: Call) -> Reply:
    """End a token: from the next request on it opens no door."""
    tokens.revoke(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def _user(user: User) -> dict[str, Any]:
    return {
        **show.named(user),
        "role": user.role,
        "disabled": user.disabled,
        "has_password": user.password_hash is not None,
        "projects": [show.named(project) for project in people.projects_joined(user.id)],
        "created_at": show.time(user.created_at),
    }


def _token(token: Token) -> dict[str, Any]:
    return {
        **show.named(token),
        "user": token.user.name,
        "permissions": token.permissions,
        "project_id": token.project_id,
        "created_at": show.time(token.created_at),
        "expires_at": show.time(token.expires_at),
    }
