"""Models of users, projects, quotas, tokens, logins and the audit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr

from service.edge.models import Body, Id, Instant, Label, Line, ListByTime, ListNamed, Named, Query, Ref, Shown
from service.json_types import JsonObject
from service.operations.people.passwords import LONGEST_BYTES, SHORTEST

Role = Literal["admin", "operator", "user", "viewer"]


def _password(password: SecretStr) -> SecretStr:
    if len(password.get_secret_value().encode("utf-8", "surrogatepass")) > LONGEST_BYTES:
        raise ValueError(f"at most {LONGEST_BYTES} bytes")
    return password


# Rejected before hashing: hashing a megabyte would occupy a core for long.
Password = Annotated[SecretStr, Field(max_length=LONGEST_BYTES), AfterValidator(_password)]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=LONGEST_BYTES), AfterValidator(_password)]
Description = Annotated[Line, Field(max_length=1000)]
Limit = Annotated[int, Field(ge=0, le=10**15)]
RESOURCE = r"^(vms|vcpus|memory_mib|volumes|addresses|gib:[A-Za-z0-9][A-Za-z0-9._-]{0,126})$"
Resource = Annotated[str, Field(pattern=RESOURCE)]


class LogIn(Body):
    """Credentials of a login."""

    user: Ref
    password: Password


class ShownLogIn(Shown):
    """Result of a login; the token is shown only once."""

    token: str
    expires_at: Instant
    user: str
    role: Role


class ChangeOwnPassword(Body):
    """Old and new password of the caller."""

    old_password: Password
    password: NewPassword


class ShownNamed(Named):
    """Id and name of an object."""


class ShownMe(Shown):
    """The caller: user, role, permissions (null: all of the role) and projects."""

    id: Id
    name: str
    role: Role
    permissions: list[str] | None
    project: ShownNamed | None = Field(description="Project in which names are looked up and new objects are created.")
    projects: list[ShownNamed] = Field(description="All projects that the caller may see.")


class CreateUser(Body):
    """User to create; without a password the user needs a token."""

    name: Label
    role: Role = "user"
    password: NewPassword | None = None
    projects: list[Ref] = Field(default_factory=list, max_length=64)


class UpdateUser(Body):
    """Changes of a user; a new password ends the user's logins."""

    role: Role | None = None
    disabled: bool | None = None
    password: NewPassword | None = None


class ShownUser(Named):
    """User."""

    role: Role
    disabled: bool
    has_password: bool
    projects: list[ShownNamed]
    created_at: Instant


class CreateProject(Body):
    """Project to create; `quotas` maps resources to limits, others are unlimited."""

    name: Label
    description: Description = ""
    quotas: dict[Resource, Limit] = Field(default_factory=dict, max_length=64)


class UpdateProject(Body):
    """Changes of a project; missing fields are not changed."""

    name: Label | None = None
    description: Description | None = None


class ShownProject(Named):
    """Project."""

    description: str
    created_at: Instant


class ShownQuota(Shown):
    """Quota of a resource: limit (null: unlimited) and usage."""

    resource: str
    limit: int | None
    used: int


class ShownProjectInFull(ShownProject):
    """Project with quotas, members and host groups (empty: it may use every host)."""

    quotas: list[ShownQuota]
    host_groups: list[ShownNamed]
    members: list[ShownNamed]


class SetQuota(Body):
    """Limit of a quota; null: unlimited."""

    limit: Limit | None


class ShownQuotas(Shown):
    """Quotas of every resource that was ever limited or used."""

    items: list[ShownQuota]


class ListTokens(Query):
    """Owner of the tokens; only admins may list another user's."""

    user: Ref | None = None


class CreateToken(Body):
    """Token to create, optionally limited in permissions, project and lifetime."""

    name: Label
    user: Ref | None = None
    permissions: list[Annotated[str, Field(pattern=r"^(\*|[a-z_]+):(\*|[a-z_]+)$", max_length=63)]] | None = Field(
        default=None, min_length=1, max_length=64
    )
    project: Ref | None = None
    expires_in_s: Annotated[int, Field(ge=60, le=10 * 366 * 86400)] | None = None


class ShownToken(Named):
    """Valid token; `permissions` null: all of its user's role."""

    user: str
    permissions: list[str] | None
    project_id: str | None
    created_at: Instant
    expires_at: Instant | None


class ShownTokens(Shown):
    """Tokens, oldest first."""

    items: list[ShownToken]


class ShownNewToken(ShownToken):
    """New token; its secret is shown only once."""

    token: str


class ListAudit(ListByTime):
    """Filters of the audit."""

    actor: Ref | None = None
    action: Ref | None = None
    object_kind: Ref | None = None
    object_id: Ref | None = None
    object_name: Ref | None = None
    request_id: Annotated[Line, Field(min_length=1, max_length=64)] | None = None


class ShownAudit(Shown):
    """Audit entry of a change, with the object's definition before and after."""

    id: Id
    created_at: Instant
    actor: str
    source: str
    reason: str
    action: str
    object_kind: str
    object_id: str
    object_name: str
    project_id: str | None
    request_id: str
    before: Any
    after: Any
    detail: JsonObject


class ListUsers(ListNamed):
    """Filters of the list of users."""

    role: Role | None = None
