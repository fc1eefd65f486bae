"""Queries of users, tokens and projects."""

from __future__ import annotations

from datetime import datetime

from service.db.engine.prepared import Parameter, Prepared
from service.db.engine.sql_types import Condition, Select
from service.db.scope import Scope
from service.db.tables import (
    DEFAULT_PROJECT,
    Audit,
    Event,
    HostGroup,
    Membership,
    Project,
    ProjectHostGroup,
    Token,
    User,
)

ABOUT_PEOPLE = ("project", "token", "user")
TOKEN = Prepared(
    Token,
    lambda: Token.select(Token, User).join(User).where(Token.sha256 == Parameter("digest")).limit(1),
    beside=Token.user,
)
PROJECTS_OF = Prepared(
    Membership, lambda: Membership.select(Membership.project).where(Membership.user == Parameter("user_id"))
)
DEFAULT = Prepared(Project, lambda: Project.select(Project.id).where(Project.name == DEFAULT_PROJECT).limit(1))
SEES_EVERYTHING = frozenset({"admin", "operator"})  # of every project


def user_by_name(name: str) -> User | None:
    """Return the user of this name."""
    row: User | None = User.get_or_none(User.name == name)
    return row


def token_by_sha256(digest: str) -> Token | None:
    """Return the token with this SHA-256, as hex, and its user."""
    return TOKEN.first(digest=digest)


def token_by_id(token_id: str) -> Token | None:
    """Return the token with this id, and its user."""
    row: Token | None = Token.select(Token, User).join(User).where(Token.id == token_id).first()
    return row


def valid_token(user_id: str, name: str, now: datetime) -> Token | None:
    """Return a user's newest valid token of this name."""
    mine = _is_valid(now) & (Token.user == user_id) & (Token.name == name)
    row: Token | None = Token.select(Token, User).join(User).where(mine).order_by(Token.created_at.desc()).first()
    return row


def valid_tokens(user_id: str | None, now: datetime) -> list[Token]:
    """Return a user's valid tokens, or all users' (None); the oldest first."""
    mine = _is_valid(now) if user_id is None else _is_valid(now) & (Token.user == user_id)
    return list(Token.select(Token, User).join(User).where(mine).order_by(Token.created_at, Token.id))


def _is_valid(now: datetime) -> Condition:
    return Token.revoked_at.is_null() & (Token.expires_at.is_null() | (Token.expires_at > now))


def projects_of(user_id: str) -> frozenset[str]:
    """Return the ids of the projects that a user is a member of."""
    return frozenset(project_id for (project_id,) in PROJECTS_OF.tuples(user_id=user_id))


def members_of(project_id: str) -> list[User]:
    """Return a project's members, by name."""
    return list(User.select().join(Membership).where(Membership.project == project_id).order_by(User.name))


def default_project_id() -> str | None:
    """Return the id of the project `default`; None if it was deleted."""
    rows = DEFAULT.tuples()
    return rows[0][0] if rows else None


def scope_of(user: User, project_id: str | None = None) -> Scope:
    """Return a user's scope.

    Its project is the given one, otherwise the user's only one, otherwise `default` if it is visible.
    """
    visible = None if user.role in SEES_EVERYTHING else projects_of(user.id)
    if project_id is not None:
        sees = visible is None or project_id in visible
        return Scope(project_id, frozenset({project_id} if sees else ()))
    if visible is not None and len(visible) == 1:
        return Scope(next(iter(visible)), visible)
    default = default_project_id()
    return Scope(default if visible is None or default in visible else None, visible)


def projects_joined(user_id: str) -> list[Project]:
    """Return the projects that a user is a member of, by name."""
    return list(Project.select().join(Membership).where(Membership.user == user_id).order_by(Project.name))


def host_groups_of(project_id: str) -> list[HostGroup]:
    """Return the host groups that a project is bound to, by name; none: all hosts."""
    mine = HostGroup.select().join(ProjectHostGroup).where(ProjectHostGroup.project == project_id)
    return list(mine.order_by(HostGroup.name))


def readable_audit(name: str, role: str, scope: Scope) -> Select[Audit]:
    """Return a query of the audit rows that an actor may see.

    Admins see all; others those of visible projects and their own. Rows about users and tokens are for admins only.
    """
    owned = scope.owns(Audit)
    if owned is not None:
        return Audit.select().where(owned | ((Audit.actor == name) & Audit.project_id.is_null()))
    if role == "admin":
        return Audit.select()
    return Audit.select().where(Audit.object_kind.not_in(ABOUT_PEOPLE) | (Audit.actor == name))


def readable_events(role: str, scope: Scope) -> Condition | None:
    """Return the condition on visible events; None: all.

    Events about users and tokens are for admins only.
    """
    owned = scope.owns(Event)
    if owned is not None or role == "admin":
        return owned
    return Event.object_kind.not_in(ABOUT_PEOPLE)
