"""What VMs are cloned from, and what is on its way to become it."""

from __future__ import annotations

from peewee import BigIntegerField, CharField, CompositeKey, ForeignKeyField, TextField

from service.db.engine.database import BaseModel, JsonField, UtcField
from service.db.tables.base import Row
from service.db.tables.people import Project


class Image(Row):
    """What VMs are cloned from. `size_bytes` is its virtual size, 0 while nobody has looked inside.

    One that is deleted while clones of it live is `retired`: nobody sees it, and its bytes stay until the last clone is
    gone.
    """

    name = CharField(max_length=63)  # of a retired one: with a part of its id, so that the name is free
    state = CharField(max_length=16)  # importing ready deleting retired
    format = CharField(max_length=8)  # raw | qcow2 | iso, as declared
    default_user = CharField(null=True, max_length=32)  # None: no cloud-init inside
    pool = CharField(max_length=127)
    storage_name = CharField(unique=True, max_length=127)
    size_bytes = BigIntegerField()
    sha256 = CharField(null=True, max_length=64)  # of the file as it came; None until it is here
    project_id: str
    project = ForeignKeyField(Project, on_delete="RESTRICT")
    visibility = CharField(default="private", max_length=8)  # private | shared | public
    kind = CharField(default="disk", max_length=8)  # disk | iso
    compression = CharField(default="none", max_length=8)  # none gz xz bz2 zst, of the file as it came
    raw_sha256 = CharField(null=True, max_length=64)  # of what VMs read; None of images from before it was kept
    source = TextField(null=True)  # the URL it was fetched from
    labels = JsonField(default=dict)
    min_disk_bytes = BigIntegerField(default=0)  # what a root disk needs, where that is more than the image

    class Meta:
        indexes = ((("project", "name"), True), (("name", "id"), False), (("created_at", "id"), False))


class ImageShare(BaseModel):
    """A project may see and use another one's image."""

    image = ForeignKeyField(Image, on_delete="CASCADE")
    project = ForeignKeyField(Project, on_delete="CASCADE")

    class Meta:
        primary_key = CompositeKey("image", "project")


class Upload(Row):
    """A file on its way into an image of the same id. How much of it is here is the file's own length."""

    name = CharField(max_length=63)
    project_id: str
    project = ForeignKeyField(Project, on_delete="RESTRICT")
    created_by = CharField(max_length=63)
    size_bytes = BigIntegerField()
    image = JsonField()  # what was said of the image
    job_id = CharField(null=True, max_length=36)  # of the import, once all of it is here
    expires_at = UtcField(index=True)


TABLES = (Image, ImageShare, Upload)
