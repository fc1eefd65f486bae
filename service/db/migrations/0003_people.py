"""Users, projects, quotas, host groups.

Existing objects go to the project `default`, a token to a user of its name.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from peewee import (
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator

PROJECT_ID = "00000000-0000-4000-8000-000000000001"
GIB = 1 << 30


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Create the tables, add the columns, fill them."""

    class Project(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        description = TextField()

        class Meta:
            database = db
            table_name = "project"

    class User(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        role = CharField(max_length=16)
        password_hash = CharField(null=True, max_length=255)
        disabled = BooleanField()

        class Meta:
            database = db
            table_name = "user"

    class Membership(Model):
        user = ForeignKeyField(User, on_delete="CASCADE")
        project = ForeignKeyField(Project, on_delete="CASCADE")

        class Meta:
            database = db
            table_name = "membership"
            primary_key = CompositeKey("user", "project")

    class Token(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(max_length=63)
        sha256 = CharField(unique=True, max_length=64)
        role = CharField(max_length=16)

        class Meta:
            database = db
            table_name = "token"

    class NewToken(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        user = ForeignKeyField(User, on_delete="CASCADE")
        name = CharField(max_length=63)
        sha256 = CharField(unique=True, max_length=64)
        permissions = TextField(null=True)
        project = ForeignKeyField(Project, null=True, on_delete="CASCADE")
        expires_at = BigIntegerField(null=True)
        revoked_at = BigIntegerField(null=True)

        class Meta:
            database = db
            table_name = "token"

    class LoginAttempt(Model):
        id = CharField(primary_key=True, max_length=64)
        began_at = BigIntegerField(index=True)
        count = IntegerField()

        class Meta:
            database = db
            table_name = "login_attempt"

    class Quota(Model):
        project = ForeignKeyField(Project, on_delete="CASCADE")
        resource = CharField(max_length=140)
        limit = BigIntegerField(null=True)
        used = BigIntegerField()

        class Meta:
            database = db
            table_name = "quota"
            primary_key = CompositeKey("project", "resource")

    class Host(Model):
        id = CharField(primary_key=True, max_length=36)

        class Meta:
            database = db
            table_name = "host"

    class HostGroup(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(unique=True, max_length=63)
        description = TextField()

        class Meta:
            database = db
            table_name = "host_group"

    class HostGroupMember(Model):
        group = ForeignKeyField(HostGroup, on_delete="CASCADE")
        host = ForeignKeyField(Host, on_delete="CASCADE")

        class Meta:
            database = db
            table_name = "host_group_member"
            primary_key = CompositeKey("group", "host")

    class ProjectHostGroup(Model):
        project = ForeignKeyField(Project, on_delete="CASCADE")
        group = ForeignKeyField(HostGroup, on_delete="CASCADE")

        class Meta:
            database = db
            table_name = "project_host_group"
            primary_key = CompositeKey("project", "group")

    class Image(Model):
        id = CharField(primary_key=True, max_length=36)

        class Meta:
            database = db
            table_name = "image"

    class ImageShare(Model):
        image = ForeignKeyField(Image, on_delete="CASCADE")
        project = ForeignKeyField(Project, on_delete="CASCADE")

        class Meta:
            database = db
            table_name = "image_share"
            primary_key = CompositeKey("image", "project")

    db.create_tables([Project, User, Membership, LoginAttempt, Quota])
    db.create_tables([HostGroup, HostGroupMember, ProjectHostGroup, ImageShare])
    Project.insert(id=PROJECT_ID, created_at=_now(db), name="default", description="").execute()

    old_tokens: list[dict[str, Any]] = list(cast(Any, Token.select().dicts()))
    db.drop_tables([Token])
    db.create_tables([NewToken])
    for token in old_tokens:
        same = {key: token[key] for key in ("id", "created_at", "name")}
        User.insert(**same, role=token["role"], password_hash=None, disabled=False).execute()
        Membership.insert(user=token["id"], project=PROJECT_ID).execute()
        NewToken.insert(**same, sha256=token["sha256"], user=token["id"]).execute()

    _add_columns(migrator, Project)
    for resource, used in _used(db).items():
        Quota.insert(project=PROJECT_ID, resource=resource, limit=None, used=used).execute()


def _add_columns(migrator: SchemaMigrator, project: Any) -> None:
    owner = ForeignKeyField(project, field=project.id, default=PROJECT_ID, on_delete="RESTRICT")
    project_id = CharField(null=True, max_length=36)
    migrator.migrate(
        migrator.drop_index("vm", "vm_name"),
        migrator.drop_index("image", "image_name"),
        *(migrator.add_column(table, "project_id", owner) for table in ("vm", "image", "volume")),
        # Until now every image was visible to all.
        migrator.add_column("image", "visibility", CharField(default="public", max_length=8)),
        *(migrator.add_index(table, ("project_id", "name"), unique=True) for table in ("vm", "image")),
        *(migrator.add_column(table, "project_id", project_id) for table in ("placement", "job", "audit")),
        migrator.add_column("audit", "source", CharField(default="", max_length=45)),
        migrator.add_column("audit", "reason", TextField(default="")),
        migrator.add_column("audit", "before", TextField(null=True)),
        migrator.add_column("audit", "after", TextField(null=True)),
        migrator.add_index("audit", ("created_at", "id")),
        migrator.add_index("audit", ("project_id", "created_at", "id")),
        migrator.add_index("job", ("project_id", "created_at", "id")),
    )


def _used(db: AnyDatabase) -> dict[str, int]:
    """Return the current use; a seed belongs to the service and is not counted."""

    class Vm(Model):
        vcpus = BigIntegerField()
        memory_mib = BigIntegerField()

        class Meta:
            database = db
            table_name = "vm"
            primary_key = False

    class Volume(Model):
        role = CharField()
        pool = CharField()
        size_bytes = BigIntegerField()

        class Meta:
            database = db
            table_name = "volume"
            primary_key = False

    class Image(Model):
        pool = CharField()
        size_bytes = BigIntegerField()

        class Meta:
            database = db
            table_name = "image"
            primary_key = False

    class Nic(Model):
        class Meta:
            database = db
            table_name = "nic"

    used: Counter[str] = Counter()
    for vm in Vm.select():
        used.update(vms=1, vcpus=vm.vcpus, memory_mib=vm.memory_mib)
    for volume in Volume.select().where(Volume.role != "seed"):
        used.update({"volumes": 1, f"gib:{volume.pool}": -(-volume.size_bytes // GIB)})
    for image in Image.select():
        used[f"gib:{image.pool}"] += -(-image.size_bytes // GIB)
    used["addresses"] = Nic.select().count()
    return dict(used)


def _now(db: AnyDatabase) -> int:
    """Return µs since 1970. SQLite returns text in UTC, PostgreSQL an instant."""
    now: Any = db.execute_sql("SELECT CURRENT_TIMESTAMP").fetchone()[0]  # type: ignore[no-untyped-call]
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC) if isinstance(now, str) else now
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
