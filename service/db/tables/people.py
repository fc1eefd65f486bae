"""Who may ask, for which project, how much of it; and who asked for what."""

from __future__ import annotations

from peewee import BigIntegerField, BooleanField, CharField, CompositeKey, ForeignKeyField, IntegerField, TextField

from service.db.engine.database import BaseModel, JsonField, UtcField
from service.db.tables.base import Row

# Made by the migration: where everything is that was made before there were projects.
DEFAULT_PROJECT = "default"


class Project(Row):
    """A tenant: VMs, images and volumes belong to one, and are seen by its members only."""

    name = CharField(unique=True, max_length=63)
    description = TextField(default="")


class User(Row):
    """A person or a program. Without a password hash only tokens open the door."""

    name = CharField(unique=True, max_length=63)
    role = CharField(max_length=16)  # admin | operator | user | viewer
    password_hash = CharField(null=True, max_length=255)  # argon2
    disabled = BooleanField(default=False)


class Membership(BaseModel):
    """A user works in a project."""

    user = ForeignKeyField(User, on_delete="CASCADE")
    project_id: str
    project = ForeignKeyField(Project, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("user", "project")


class Token(Row):
    """An API token: only its SHA-256 is kept. It may do no more than its user, and less when it says so."""

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
    """How often somebody tried to log in lately. `id` is a digest of where from and as whom."""

    id = CharField(primary_key=True, max_length=64)
    began_at = UtcField(index=True)
    count = IntegerField(default=0)


class Quota(BaseModel):
    """What a project may have of a resource, and has. The counter changes in the transaction of what it counts."""

    project = ForeignKeyField(Project, on_delete="CASCADE")
    resource = CharField(max_length=140)  # vms vcpus memory_mib volumes addresses gib:<pool>
    limit = BigIntegerField(null=True)  # None: no limit
    used = BigIntegerField(default=0)

    class Meta:
        primary_key = CompositeKey("project", "resource")


class Audit(Row):
    """Who asked for what, from where and why, and what it was before and after. Rows are only ever added."""

    actor = CharField(max_length=63)
    action = CharField(max_length=63)
    object_kind = CharField(max_length=16)
    object_id = CharField(index=True, max_length=127)  # a pool's is its name
    object_name = CharField(max_length=127)
    request_id = CharField(max_length=64)
    detail = JsonField()
    project_id = CharField(null=True, max_length=36)  # no reference: it outlives the project
    source = CharField(default="", max_length=45)  # the address that asked
    reason = TextField(default="")
    before = JsonField(null=True)
    after = JsonField(null=True)

    class Meta:
        indexes = ((("created_at", "id"), False), (("project_id", "created_at", "id"), False))


TABLES = (Project, User, Membership, Token, LoginAttempt, Quota, Audit)
