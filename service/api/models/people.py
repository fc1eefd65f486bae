"""Users, projects, quotas, tokens, log-ins and the audit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr

from service.edge.models import Body, Id, Instant, Label, Line, ListByTime, ListNamed, Named, Query, Ref, Shown
from service.operations.people.passwords import LONGEST_BYTES, SHORTEST

Role = Literal["admin", "operator", "user", "viewer"]


def _password(password: SecretStr) -> SecretStr:
    if len(password.get_secret_value().encode("utf-8", "surrogatepass")) > LONGEST_BYTES:
        raise ValueError(f"at most {LONGEST_BYTES} bytes")
    return password


# Refused before anything is hashed: a hash of a megabyte would hold a core for long.
Password = Annotated[SecretStr, Field(max_length=LONGEST_BYTES), AfterValidator(_password)]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=LONGEST_BYTES), AfterValidator(_password)]
Description = Annotated[Line, Field(max_length=1000)]
Limit = Annotated[int, Field(ge=0, le=10**15)]
RESOURCE = r"^(vms|vcpus|memory_mib|volumes|addresses|gib:[A-Za-z0-9][A-Za-z0-9._-]{0,126})$"
Resource = Annotated[str, Field(pattern=RESOURCE)]


class LogIn(Body):
    """A name and its password, for a token of some hours."""

    user: Ref
    password: Password


class ShownLogIn(Shown):
    """The token is shown this once."""

    token: str
    expires_at: Instant
    user: str
    role: Role


class ChangeOwnPassword(Body):
    """The old one proves that it is really you."""

    old_password: Password
    password: NewPassword


class ShownNamed(Named):
    """An object by id and name."""


class ShownMe(Shown):
    """Who asks, with what rights, and where. `permissions` null: all that the role gives."""

    id: Id
    name: str
    role: Role
    permissions: list[str] | None
    project: ShownNamed | None = Field(description="Where names are looked up and new objects go.")
    projects: list[ShownNamed] = Field(description="All that may be seen.")


class CreateUser(Body):
    """A user, and the projects to work in. Without a password only tokens open the door."""

    name: Label
    role: Role = "user"
    password: NewPassword | None = None
    projects: list[Ref] = Field(default_factory=list, max_length=64)


class ChangeUser(Body):
    """What is left out stays. A new password ends what the user is logged in to."""

    role: Role | None = None
    disabled: bool | None = None
    password: NewPassword | None = None


class ShownUser(Named):
    """A user."""

    role: Role
    disabled: bool
    has_password: bool
    projects: list[ShownNamed]
    created_at: Instant


class CreateProject(Body):
    """A project; `quotas` maps resources to limits, what is not named is not limited."""

    name: Label
    description: Description = ""
    quotas: dict[Resource, Limit] = Field(default_factory=dict, max_length=64)


class ChangeProject(Body):
    """What is left out stays."""

    name: Label | None = None
    description: Description | None = None


class ShownProject(Named):
    """A project."""

    description: str
    created_at: Instant


class ShownQuota(Shown):
    """A resource: what the project may have (null: any number), and has."""

    resource: str
    limit: int | None
    used: int


class ShownProjectInFull(ShownProject):
    """A project with what it may have. `host_groups` empty: it may use every host."""

    quotas: list[ShownQuota]
    host_groups: list[ShownNamed]
    members: list[ShownNamed]


class SetQuota(Body):
    """Null: no limit."""

    limit: Limit | None


class ShownQuotas(Shown):
    """Every resource that was ever limited or used."""

    items: list[ShownQuota]


class ListTokens(Query):
    """Whose tokens. Only admins see others'."""

    user: Ref | None = None


class CreateToken(Body):
    """A token: less than all that its user may when `permissions` or `project` say so, until its time is over."""

    name: Label
    user: Ref | None = None
    permissions: list[Annotated[str, Field(pattern=r"^(\*|[a-z_]+):(\*|[a-z_]+)$", max_length=63)]] | None = Field(
        default=None, min_length=1, max_length=64
    )
    project: Ref | None = None
    expires_in_s: Annotated[int, Field(ge=60, le=10 * 366 * 86400)] | None = None


class ShownToken(Named):
    """A token that opens the door. `permissions` null: all that its user's role gives."""

    user: str
    permissions: list[str] | None
    project_id: str | None
    created_at: Instant
    expires_at: Instant | None


class ShownTokens(Shown):
    """The oldest first."""

    items: list[ShownToken]


class ShownNewToken(ShownToken):
    """The secret is shown this once."""

    token: str


class ListAudit(ListByTime):
    """Which writes to show."""

    actor: Ref | None = None
    action: Ref | None = None
    object_kind: Ref | None = None
    object_id: Ref | None = None
    object_name: Ref | None = None
    request_id: Annotated[Line, Field(min_length=1, max_length=64)] | None = None


class ShownAudit(Shown):
    """A write: who, from where and why, what, and how the object was defined before and after."""

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
    detail: dict[str, Any]


class ListUsers(ListNamed):
    """Which users to list."""

    role: Role | None = None
