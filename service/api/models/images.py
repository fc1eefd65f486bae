"""Images and uploads."""

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
    """What is said of a file that becomes an image."""

    name: Label
    format: ImageFormat = Field(description="What the file is, once its compression is off; iso is for CD-ROM drives.")
    compression: Compression = "none"
    sha256: Sha256 | None = Field(default=None, description="Of the file as it comes; another is refused.")
    default_user: UserName | None = Field(
        default=DEFAULT_USER, description="Whom cloud-init makes in VMs of this image; null: there is no cloud-init."
    )
    labels: Labels = Field(default_factory=dict)
    visibility: Visibility = "private"
    min_disk_gib: DiskGib = Field(default=0, description="What a root disk needs at least.")
    pool: PoolName | None = Field(default=None, description="Where it is stored; null: where images usually are.")


class CreateUpload(_Described):
    """A file to send in pieces, which then becomes an image."""

    size_bytes: Annotated[int, Field(ge=1, lt=1 << 53)]


class CreateImage(_Described):
    """An image from a URL; or, for admins, from a file under the folder that the settings name."""

    url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    path: Annotated[str, Field(min_length=1, max_length=1024)] | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.url is None) == (self.path is None):
            raise ValueError("name a url, or a path")
        path = PurePosixPath(self.path or "")
        if path.is_absolute() or ".." in path.parts or "\0" in (self.path or ""):
            raise ValueError("path is relative to the server's image folder and has no '..'")
        return self


class ChangeImage(Body):
    """What is to be another from now on; what is left out stays."""

    name: Label = ""
    labels: Labels = Field(default_factory=dict, description="All of them: they replace what there was.")
    default_user: UserName | None = None
    visibility: Visibility = "private"
    min_disk_gib: DiskGib = 0

    def columns(self) -> dict[str, object]:
        """The columns to write."""
        given: dict[str, object] = {name: getattr(self, name) for name in self.model_fields_set}
        if "min_disk_gib" in given:
            given["min_disk_bytes"] = self.min_disk_gib * GIB
            del given["min_disk_gib"]
        return given


class ListImages(ListNamed):
    """Which images to list."""

    state: ImageState | None = None
    kind: Literal["disk", "iso"] | None = None
    visibility: Visibility | None = None


class ShownImage(Named):
    """An image. `size_bytes` is its virtual size, 0 until it is known.

    `sha256` is that of the file that came, `raw_sha256` that of what VMs read; null until they are known.
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
    """An image, and the projects that it is offered to: for those who see its own project, else empty."""

    shared_with: list[str]


class ListUploads(ListNamed):
    """Which uploads to list."""


class ShownUpload(Named):
    """A file on its way. `offset` is how much of it is here; `job_id` is the import's, once all of it is."""

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
