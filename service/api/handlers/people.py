"""Users, log-ins and tokens over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from service.api.models.people import (
    ChangeOwnPassword,
    ChangeUser,
    CreateToken,
    CreateUser,
    ListTokens,
    LogIn,
)
from service.db import people, queries
from service.db.tables import Project, User
from service.edge.call import Call, Reply
from service.edge.paging import each, equal, named
from service.operations.people import login, tokens, users
from service.views.people import show_token, show_user
from service.views.values import show_named, show_time

HASHING = "Too many passwords are being checked: try again in a moment."


def log_in(call: Call) -> Reply:
    """Get a token of some hours for a name and a password."""
    body = cast(LogIn, call.body)
    with call.slots.logins.one(HASHING):
        token, secret = login.log_in(call.ctx, call.actor, name=body.user, password=body.password.get_secret_value())
    shown = {"token": secret, "expires_at": show_time(token.expires_at), "user": token.user.name}
    return Reply({**shown, "role": token.user.role}, status=201)


def log_out(call: Call) -> Reply:
    """Revoke the token of this very call."""
    login.log_out(call.ctx, call.actor)
    return Reply(None, status=204)


def me(call: Call) -> Reply:
    """Who asks, with what rights, and in which project."""
    actor = call.actor
    projects = {project.id: show_named(project) for project in queries.everything(Project, actor.scope)}
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
    return named(call, found, User, each(show_user))


def one_user(call: Call) -> Reply:
    """One user, and the projects that they work in."""
    return Reply(show_user(queries.get(User, call.ref, call.actor.scope)))


def create_user(call: Call) -> Reply:
    """Make a user."""
    body = cast(CreateUser, call.body)
    password = body.password.get_secret_value() if body.password is not None else None
    new = users.NewUser(name=body.name, role=body.role, password=password, projects=tuple(body.projects))
    with call.slots.logins.one(HASHING):
        return Reply(show_user(users.create(call.ctx, call.actor, new)), status=201)


def change_user(call: Call) -> Reply:
    """Change a user's role or password, shut them out or let them in again."""
    body = cast(ChangeUser, call.body)
    password = body.password.get_secret_value() if body.password is not None else None
    changes = users.Changes(role=body.role, disabled=body.disabled, password=password)
    with call.slots.logins.one(HASHING):
        return Reply(show_user(users.change(call.ctx, call.actor, call.ref, changes)))


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
    return Reply({"items": [show_token(token) for token in people.living_tokens(user_id, call.ctx.clock.now())]})


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
    return Reply({**show_token(token), "token": secret}, status=201)


def revoke_token(call: Call) -> Reply:
    """End a token: from the next request on it opens no door."""
    tokens.revoke(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)
