"""Authorisation of every route and every object by role, token and project."""

from __future__ import annotations

from typing import Any

from service.db.people import SEES_EVERYTHING
from service.errors import ForbiddenError
from service.operations.actor import Actor

ROLES = ("admin", "operator", "user", "viewer")
_ALL = frozenset(ROLES)
_WRITERS = frozenset({"admin", "operator", "user"})
_OPERATORS = SEES_EVERYTHING
_ADMINS = frozenset({"admin"})

# Permission → the roles that have it. Users and viewers see and change only objects of their own projects.
MAY: dict[str, frozenset[str]] = {
    "audit:read": _ALL,
    "event:read": _ALL,
    "flavor:read": _ALL,
    "flavor:write": _ADMINS,
    "host:read": _ALL,
    "host:write": _OPERATORS,
    "image:publish": _OPERATORS,
    "image:read": _ALL,
    "image:write": _WRITERS,
    "image:write_from_server": _ADMINS,
    "job:cancel": _WRITERS,
    "job:read": _ALL,
    "me:read": _ALL,
    "me:write": _ALL,
    "metrics:read": _OPERATORS,
    "network:read": _ALL,
    "network:write": _ADMINS,
    "placement:choose": _ADMINS,
    "placement:read": _ALL,
    "placement:simulate": _OPERATORS,
    "placement_group:read": _ALL,
    "placement_group:write": _WRITERS,
    "pool:read": _ALL,
    "pool:write": _OPERATORS,
    "project:read": _ALL,
    "project:write": _ADMINS,
    "token:read": _ALL,
    "token:write": _ALL,
    "user:read": _ADMINS,
    "user:write": _ADMINS,
    "vm:adopt": _OPERATORS,
    "vm:migrate": _OPERATORS,
    "vm:read": _ALL,
    "vm:write": _WRITERS,
    "volume:read": _ALL,
    "volume:write": _WRITERS,
}


def authorise(actor: Actor, action: str, row: Any = None) -> None:
    """Check that the actor may do this, to the object in `row`. Raises ForbiddenError.

    An object that the actor may not see was not found before. One that it sees but that belongs to another project
    (a public image) it may not change.
    """
    if actor.role not in MAY[action]:
        raise ForbiddenError(f"{actor.name} ({actor.role}) lacks the permission {action}.")
    if actor.permissions is not None and not any(covers(scope, action) for scope in actor.permissions):
        raise ForbiddenError(f"This token of {actor.name} lacks the permission {action}: use one that has it.")
    if row is not None and not actor.scope.sees(row.project_id):
        raise ForbiddenError(f"{type(row).__name__} '{row.name}' belongs to another project: ask its members.")


def covers(scope: str, action: str) -> bool:
    """Return True if a token's scope grants the action.

    A scope is an action, `<kind>:*` or `*:read`.
    """
    kind, _, verb = scope.partition(":")
    wanted_kind, _, wanted_verb = action.partition(":")
    return kind in ("*", wanted_kind) and verb in ("*", wanted_verb)
