"""Definition of a new image, and the checks that do not read its file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from service.context import Context
from service.db import queries
from service.db.tables import Image
from service.errors import ConflictError, FieldError, InvalidError
from service.json_types import JsonObject
from service.operations.actor import Actor
from service.operations.authorise import authorise


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to be created.

    `sha256` is of the file as received; None if the caller does not state it. `default_user` None: no cloud-init.
    """

    name: str
    format: str
    compression: str = "none"
    default_user: str | None = None
    sha256: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    visibility: str = "private"
    min_disk_bytes: int = 0
    pool: str | None = None  # None: that of the settings

    @property
    def kind(self) -> str:
        """Kind by format: a disk, or an ISO for CD-ROM drives."""
        return "iso" if self.format == "iso" else "disk"

    def as_json(self) -> JsonObject:
        """Return it as JSON to be stored with an upload."""
        return asdict(self)


def shown_name(image: Image | None) -> str | None:
    """Return the name that users gave it.

    The row of an image that was deleted while clones exist has another.
    """
    return image.name.partition("~")[0] if image is not None else None


def check(ctx: Context, actor: Actor, new: NewImage) -> None:
    """Check early what the job would refuse. Raises ConflictError, ForbiddenError."""
    check_free(new.name, actor.scope.home())
    check_visibility(actor, new.visibility)
    check_room(pool_for(ctx, new.pool), 0)


def check_free(name: str, project_id: str) -> None:
    """Check that the name is free. Raises ConflictError (`image.name_taken`)."""
    if queries.name_is_taken(Image, name, project_id):
        raise ConflictError(f"There is an image '{name}' already.", code="image.name_taken")


def check_visibility(actor: Actor, visibility: str) -> None:
    """Check that only operators make an image public. Raises ForbiddenError."""
    if visibility == "public":
        authorise(actor, "image:publish")


def pool_for(ctx: Context, name: str | None) -> str:
    """Return the pool for a new image. Raises InvalidError (`pool.not_found`)."""
    if name is None or name == ctx.settings.image_pool:
        return ctx.settings.image_pool
    seen = queries.pool(name)
    if seen is None or not seen.for_images:
        detail = f"There is no pool '{name[: queries.LONGEST_ECHO]}' for images: 'nacre pool list' shows them."
        raise InvalidError(detail, code="pool.not_found", errors=(FieldError("pool", detail),))
    return name


def check_room(pool_name: str, size_bytes: int) -> None:
    """Check the pool's observed free space. Raises ConflictError (`pool.full`)."""
    pool = queries.pool(pool_name)
    if pool is not None and (pool.facts["full"] or pool.facts["free_bytes"] < size_bytes):
        raise ConflictError(f"Pool '{pool.name}' has no room for {size_bytes} bytes.", code="pool.full")


def create_row(ctx: Context, actor: Actor, new: NewImage, *, image_id: str, source: str | None = None) -> Image:
    """Create the image's row in the caller's transaction."""
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
