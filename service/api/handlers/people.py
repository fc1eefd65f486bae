"""Handlers for users, logins and tokens."""

from __future__ import annotations

from datetime import timedelta

from service.api.models.people import (
    ChangeOwnPassword,
    CreateToken,
    CreateUser,
    ListTokens,
    ListUsers,
    LogIn,
    UpdateUser,
)
from service.db import people, queries
from service.db.tables import Project, User
from service.edge.call import Call, Reply
from service.edge.paging import each, equal, named
from service.operations.people import login, tokens, users
from service.views import people as views
from service.views.values import show_named, show_time

HASHING = "Too many password checks are running: try again in a moment."


def log_in(call: Call[LogIn]) -> Reply:
    """Log in with a name and a password; returns a token that expires after hours."""
    body = call.body
    with call.slots.logins.one(HASHING):
        token, secret = login.log_in(call.ctx, call.actor, name=body.user, password=body.password.get_secret_value())
    shown = {"token": secret, "expires_at": show_time(token.expires_at), "user": token.user.name}
    return Reply({**shown, "role": token.user.role}, status=201)


def log_out(call: Call) -> Reply:
    """Log out: revoke the token of this request."""
    login.log_out(call.ctx, call.actor)
    return Reply(None, status=204)


def me(call: Call) -> Reply:
    """Show the caller: user, role, permissions and projects."""
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


def change_own_password(call: Call[ChangeOwnPassword]) -> Reply:
    """Set the caller's own password; other logins end."""
    body = call.body
    old, new = body.old_password.get_secret_value(), body.password.get_secret_value()
    with call.slots.logins.one(HASHING):
        users.change_own_password(call.ctx, call.actor, old=old, new=new)
    return Reply(None, status=204)


def list_users(call: Call[None, ListUsers]) -> Reply:
    """List users."""
    found = equal(call, User.select(), name=User.name, role=User.role)
    return named(call, found, User, each(views.show_user))


def show_user(call: Call) -> Reply:
    """Show a user with the user's projects."""
    return Reply(views.show_user(queries.get(User, call.ref, call.actor.scope)))


def create_user(call: Call[CreateUser]) -> Reply:
    """Create a user."""
    body = call.body
    password = body.password.get_secret_value() if body.password is not None else None
    new = users.NewUser(name=body.name, role=body.role, password=password, projects=tuple(body.projects))
    with call.slots.logins.one(HASHING):
        return Reply(views.show_user(users.create(call.ctx, call.actor, new)), status=201)


def update_user(call: Call[UpdateUser]) -> Reply:
    """Update a user's role or password, disable or enable the user."""
    body = call.body
    password = body.password.get_secret_value() if body.password is not None else None
    changes = users.Changes(role=body.role, disabled=body.disabled, password=password)
    with call.slots.logins.one(HASHING):
        return Reply(views.show_user(users.change(call.ctx, call.actor, call.ref, changes)))


def delete_user(call: Call) -> Reply:
    """Delete a user and all tokens of the user; the user's VMs and images are kept."""
    users.delete(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)


def list_tokens(call: Call[None, ListTokens]) -> Reply:
    """List the caller's valid tokens; admins may list another user's."""
    asked = call.query
    user_id = call.actor.user_id or ""
    if asked.user is not None:
        user = queries.find(User, asked.user, call.actor.scope)
        if user is None or (call.actor.role != "admin" and user.id != user_id):
            raise queries.not_found("user", asked.user)
        user_id = user.id
    return Reply({"items": [views.show_token(token) for token in people.valid_tokens(user_id, call.ctx.clock.now())]})


def create_token(call: Call[CreateToken]) -> Reply:
    """Create a token; its secret is shown only in this response."""
    body = call.body
    new = tokens.NewToken(
        name=body.name,
        user=body.user,
        permissions=None if body.permissions is None else tuple(body.permissions),
        project=body.project,
        lifetime=None if body.expires_in_s is None else timedelta(seconds=body.expires_in_s),
    )
    token, secret = tokens.issue(call.ctx, call.actor, new)
    return Reply({**views.show_token(token), "token": secret}, status=201)


def revoke_token(call: Call) -> Reply:
    """Revoke a token; the next request with it is rejected."""
    tokens.revoke(call.ctx, call.actor, call.ref)
    return Reply(None, status=204)
