"""Images of more kinds, their labels and digests, and uploads that can be resumed."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, ForeignKeyField, Model, TextField
from peewee import Database as AnyDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: AnyDatabase) -> None:
    """Add columns and a table; every existing image is an uncompressed disk."""

    class Project(Model):
        id = CharField(primary_key=True, max_length=36)

        class Meta:
            database = db
            table_name = "project"

    class Upload(Model):
        id = CharField(primary_key=True, max_length=36)
        created_at = BigIntegerField()
        name = CharField(max_length=63)
        project = ForeignKeyField(Project, on_delete="RESTRICT")
        created_by = CharField(max_length=63)
        size_bytes = BigIntegerField()
        image = TextField()
        job_id = CharField(null=True, max_length=36)
        expires_at = BigIntegerField(index=True)

        class Meta:
            database = db
            table_name = "upload"

    columns = {
        "kind": CharField(default="disk", max_length=8),
        "compression": CharField(default="none", max_length=8),
        "raw_sha256": CharField(null=True, max_length=64),
        "source": TextField(null=True),
        "labels": TextField(default="{}"),
        "min_disk_bytes": BigIntegerField(default=0),
    }
    migrator.migrate(
        migrator.drop_not_null("image", "default_user"),
        migrator.drop_not_null("image", "sha256"),
        *(migrator.add_column("image", name, field) for name, field in columns.items()),
    )
    db.create_tables([Upload], safe=False)
