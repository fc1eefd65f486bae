"""Users and tokens as JSON values."""

from __future__ import annotations

from service.db import people
from service.db.tables import Token, User
from service.json_types import JsonObject
from service.views.values import show_named, show_time


def show_user(user: User) -> JsonObject:
    """A user with their projects."""
    return {
        **show_named(user),
        "role": user.role,
        "disabled": user.disabled,
        "has_password": user.password_hash is not None,
        "projects": [show_named(project) for project in people.projects_joined(user.id)],
        "created_at": show_time(user.created_at),
    }


def show_token(token: Token) -> JsonObject:
    """A token, without its secret."""
    return {
        **show_named(token),
        "user": token.user.name,
        "permissions": token.permissions,
        "project_id": token.project_id,
        "created_at": show_time(token.created_at),
        "expires_at": show_time(token.expires_at),
    }
