"""What is said of an image before anybody has looked inside, and the checks that need no look."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from service.context import Context
from service.db import queries
from service.db.tables import Image
from service.errors import ConflictError, FieldError, InvalidError
from service.operations.actor import Actor
from service.operations.authorise import authorise


@dataclass(frozen=True, slots=True)
class NewImage:
    """`sha256` is of the file as it comes; None when the caller does not know. No `default_user`: no cloud-init."""

    name: str
    format: str
    compression: str = "none"
    default_user: str | None = None
    sha256: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    visibility: str = "private"
    min_disk_bytes: int = 0
    pool: str | None = None  # None: the settings' own

    @property
    def kind(self) -> str:
        """Whether VMs have it as a disk or in a CD-ROM drive."""
        return "iso" if self.format == "iso" else "disk"

    def as_json(self) -> dict[str, Any]:
        """As an upload remembers it."""
        return asdict(self)


def told_name(image: Image | None) -> str | None:
    """The name that people gave it: one that was deleted while clones live has another in its row."""
    return image.name.partition("~")[0] if image is not None else None


def check(ctx: Context, actor: Actor, new: NewImage) -> None:
    """Refuse at once what would be refused in the end. Raises ConflictError, ForbiddenError."""
    check_free(new.name, actor.scope.home())
    check_visibility(actor, new.visibility)
    check_room(pool_for(ctx, new.pool), 0)


def check_free(name: str, project_id: str) -> None:
    """Raises ConflictError (`image.name_taken`)."""
    if queries.name_is_taken(Image, name, project_id):
        raise ConflictError(f"There is an image '{name}' already.", code="image.name_taken")


def check_visibility(actor: Actor, visibility: str) -> None:
    """What everybody sees, only operators put there. Raises ForbiddenError."""
    if visibility == "public":
        authorise(actor, "image:publish")


def pool_for(ctx: Context, name: str | None) -> str:
    """The pool to put an image into. Raises InvalidError (`pool.not_found`)."""
    if name is None or name == ctx.settings.image_pool:
        return ctx.settings.image_pool
    seen = queries.pool(name)
    if seen is None or not seen.for_images:
        told = f"There is no pool '{name[: queries.LONGEST_ECHO]}' for images: 'nacre pool list' shows them."
        raise InvalidError(told, code="pool.not_found", errors=(FieldError("pool", told),))
    return name


def check_room(pool_name: str, size_bytes: int) -> None:
    """Raises ConflictError (`pool.full`) when the pool was seen full, or without room for so much."""
    pool = queries.pool(pool_name)
    if pool is not None and (pool.facts["full"] or pool.facts["free_bytes"] < size_bytes):
        raise ConflictError(f"Pool '{pool.name}' has no room for {size_bytes} bytes.", code="pool.full")


def create_row(ctx: Context, actor: Actor, new: NewImage, *, image_id: str, source: str | None = None) -> Image:
    """The image's row, in the caller's transaction."""
    return Image.create(
        id=image_id,
        created_at=ctx.clock.now(),
        name=new.name,
        project=actor.scope.home(),
        state="importing",
        kind=new.kind,
        format=new.format,
        compression=new.compression,
        default_user=new.default_user,
        visibility=new.visibility,
        labels=new.labels,
        min_disk_bytes=new.min_disk_bytes,
        pool=pool_for(ctx, new.pool),
        storage_name=f"image-{image_id}",
        size_bytes=0,
        source=source,
    )
