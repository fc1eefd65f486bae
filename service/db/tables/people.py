"""Projects, users, tokens, quotas and the audit."""

from __future__ import annotations

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, ForeignKeyField, IntegerField, TextField

from service.db.engine.database import BaseModel, JsonField, UtcField
from service.db.tables.base import Row

# Created by the migration: the project of everything older than projects.
DEFAULT_PROJECT = "default"


class Project(Row):
    """A tenant: owner of VMs, images and volumes, visible to its members only."""

    name = CharField(unique=True, max_length=63)
    description = TextField(default="")


class User(Row):
    """A person or a program. Without a password hash it can use tokens only."""

    name = CharField(unique=True, max_length=63)
    role = CharField(max_length=16)  # admin | operator | user | viewer
    password_hash = CharField(null=True, max_length=255)  # argon2
    disabled = BooleanField(default=False)


class Membership(BaseModel):
    """Membership of a user in a project."""

    user = ForeignKeyField(User, on_delete="CASCADE")
    project_id: str
    project = ForeignKeyField(Project, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("user", "project")


class Token(Row):
    """An API token, stored as SHA-256. Its permissions are its user's or fewer."""

    user_id: str
    user = ForeignKeyField(User, on_delete="CASCADE")
    name = CharField(max_length=63)
    sha256 = CharField(unique=True, max_length=64)
    permissions = JsonField(null=True)  # the only ones it has; None: all that the role gives
    project_id: str | None
    project = ForeignKeyField(Project, null=True, on_delete="CASCADE")  # the only one it reaches
    expires_at = UtcField(null=True)
    revoked_at = UtcField(null=True)


class LoginAttempt(BaseModel):
    """Number of recent login attempts. `id` is a digest of the address and the name."""

    id = CharField(primary_key=True, max_length=64)
    began_at = UtcField(index=True)
    count = IntegerField(default=0)


class Quota(BaseModel):
    """Limit and use of a resource by a project.

    The counter changes in the transaction of the rows that it counts.
    """

    project = ForeignKeyField(Project, on_delete="CASCADE")
    resource = CharField(max_length=140)  # vms vcpus memory_mib volumes addresses gib:<pool>
    limit = BigIntegerField(null=True)  # None: no limit
    used = BigIntegerField(default=0)

    class Meta:
        primary_key = CompositeKey("project", "resource")


class Audit(Row):
    """A write: actor, address, reason, and the object before and after.

    Rows are never changed or deleted.
    """

    actor = CharField(max_length=63)
    action = CharField(max_length=63)
    object_kind = CharField(max_length=16)
    object_id = CharField(index=True, max_length=127)  # a pool's is its name
    object_name = CharField(max_length=127)
    request_id = CharField(max_length=64)
    detail = JsonField()
    project_id = CharField(null=True, max_length=36)  # no reference: it outlives the project
    source = CharField(default="", max_length=45)  # the client's address
    reason = TextField(default="")
    before = JsonField(null=True)
    after = JsonField(null=True)

    class Meta:
        indexes = ((("created_at", "id"), False), (("project_id", "created_at", "id"), False))


TABLES = (Project, User, Membership, Token, LoginAttempt, Quota, Audit)
