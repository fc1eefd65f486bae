"""Images and uploads."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, CompositeKey, ForeignKeyField, TextField

from service.db.engine.database import BaseModel, JsonField, UtcField
from service.db.tables.base import Row
from service.db.tables.people import Project


class Image(Row):
    """Source of VMs' disks. `size_bytes` is its virtual size, 0 until inspected.

    One that is deleted while clones exist is `retired`: hidden, and its block device is kept until the last clone is
    deleted.
    """

    name = CharField(max_length=63)  # of a retired one: with a part of its id, which frees the name
    state = CharField(max_length=16)  # importing ready deleting retired
    format = CharField(max_length=8)  # raw | qcow2 | iso, as declared
    default_user = CharField(null=True, max_length=32)  # None: no cloud-init inside
    pool = CharField(max_length=127)
    storage_name = CharField(unique=True, max_length=127)
    size_bytes = BigIntegerField()
    sha256 = CharField(null=True, max_length=64)  # of the file as received; None before
    project_id: str
    project = ForeignKeyField(Project, on_delete="RESTRICT")
    visibility = CharField(default="private", max_length=8)  # private | shared | public
    kind = CharField(default="disk", max_length=8)  # disk | iso
    compression = CharField(default="none", max_length=8)  # none gz xz bz2 zst, of the file as received
    raw_sha256 = CharField(null=True, max_length=64)  # of the raw disk; None for images older than this column
    source = TextField(null=True)  # the URL it was fetched from
    labels = JsonField(default=dict)
    min_disk_bytes = BigIntegerField(default=0)  # least size of a root disk, if larger than the image

    class Meta:
        indexes = ((("project", "name"), True), (("name", "id"), False), (("created_at", "id"), False))


class ImageShare(BaseModel):
    """Permission of a project to see and use another project's image."""

    image = ForeignKeyField(Image, on_delete="CASCADE")
    project = ForeignKeyField(Project, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("image", "project")


class Upload(Row):
    """A file that becomes an image of the same id.

    The number of bytes received is the length of the file.
    """

    name = CharField(max_length=63)
    project_id: str
    project = ForeignKeyField(Project, on_delete="RESTRICT")
    created_by = CharField(max_length=63)
    size_bytes = BigIntegerField()
    image = JsonField()  # definition of the image
    job_id = CharField(null=True, max_length=36)  # of the import, once the file is complete
    expires_at = UtcField(index=True)


TABLES = (Image, ImageShare, Upload)
