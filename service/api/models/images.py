"""Models of images and uploads."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from service.api.models.disks import PoolName
from service.edge.models import GIB, Body, Id, Instant, Label, Line, ListNamed, Named, Sha256, UserName

LABEL_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
DEFAULT_USER = "nacre"


def _label_key(text: str) -> str:
    if not LABEL_KEY.fullmatch(text):
        raise ValueError("a label: 1 to 63 of letters, digits, '.', '_', '/' and '-', not at either end")
    return text


LabelKey = Annotated[str, AfterValidator(_label_key)]
Labels = Annotated[dict[LabelKey, Annotated[Line, Field(max_length=255)]], Field(max_length=64)]
DiskGib = Annotated[int, Field(ge=0, le=65536)]
ImageFormat = Literal["raw", "qcow2", "iso"]
Compression = Literal["none", "gz", "xz", "bz2", "zst"]
Visibility = Literal["private", "shared", "public"]
ImageState = Literal["importing", "ready", "deleting"]


class _Described(Body):
    """Base of bodies that describe an image file."""

    name: Label
    format: ImageFormat = Field(description="Format of the file after decompression; iso is for CD-ROM drives.")
    compression: Compression = "none"
    sha256: Sha256 | None = Field(default=None, description="SHA-256 that the file must have, before decompression.")
    default_user: UserName | None = Field(
        default=DEFAULT_USER, description="User that cloud-init creates in VMs of this image; null: no cloud-init."
    )
    labels: Labels = Field(default_factory=dict)
    visibility: Visibility = "private"
    min_disk_gib: DiskGib = Field(default=0, description="Minimum size of a root disk.")
    pool: PoolName | None = Field(default=None, description="Pool to store it in; null: the image pool.")


class CreateUpload(_Described):
    """File to upload in pieces, then imported as an image."""

    size_bytes: Annotated[int, Field(ge=1, lt=1 << 53)]


class CreateImage(_Described):
    """Image to import from a URL, or (admins) from the server's image folder."""

    url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    path: Annotated[str, Field(min_length=1, max_length=1024)] | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.url is None) == (self.path is None):
            raise ValueError("give either url or path")
        path = PurePosixPath(self.path or "")
        if path.is_absolute() or ".." in path.parts or "\0" in (self.path or ""):
            raise ValueError("path must be relative to the server's image folder and must not contain '..'")
        return self


class UpdateImage(Body):
    """Changes of an image; missing fields are not changed."""

    name: Label = ""
    labels: Labels = Field(default_factory=dict, description="All labels: they replace the existing ones.")
    default_user: UserName | None = None
    visibility: Visibility = "private"
    min_disk_gib: DiskGib = 0

    def columns(self) -> dict[str, object]:
        """Return the columns to write."""
        given: dict[str, object] = {name: getattr(self, name) for name in self.model_fields_set}
        if "min_disk_gib" in given:
            given["min_disk_bytes"] = self.min_disk_gib * GIB
            del given["min_disk_gib"]
        return given


class ListImages(ListNamed):
    """Filters of the list of images."""

    state: ImageState | None = None
    kind: Literal["disk", "iso"] | None = None
    visibility: Visibility | None = None


class ShownImage(Named):
    """Image. `size_bytes` is its virtual size, 0 until the import knows it.

    `sha256` is that of the imported file, `raw_sha256` that of its raw content; null until the import knows them.
    """

    project_id: Id
    state: ImageState
    kind: Literal["disk", "iso"]
    format: ImageFormat
    compression: Compression
    size_bytes: int
    min_disk_bytes: int
    sha256: str | None
    raw_sha256: str | None
    source: str | None
    default_user: str | None
    labels: dict[str, str]
    visibility: Visibility
    pool: str
    created_at: Instant


class ShownImageInFull(ShownImage):
    """Image with the projects it is shared with (empty outside its own project)."""

    shared_with: list[str]


class ListUploads(ListNamed):
    """Filters of the list of uploads."""


class ShownUpload(Named):
    """Upload: `offset` is the number of bytes received, `job_id` the import job."""

    project_id: Id
    format: ImageFormat
    compression: Compression
    sha256: str | None
    size_bytes: int
    offset: int
    job_id: Id | None
    created_by: str
    created_at: Instant
    expires_at: Instant
