"""Bring an image into the storage: unpack → import with its golden snapshot. All of it, or nothing is left."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from service.context import Context
from service.db import queries
from service.db.database import transaction, unit_of_work
from service.db.tables import Image
from service.errors import ConflictError, InvalidError
from service.jobs.job import Job
from service.jobs.operation import Operation
from service.operations import image_file, uploads
from service.operations.accept import accept
from service.operations.actor import Actor
from storage.refs import ImageRef

# QEMU wants whole sectors.
SECTOR_BYTES = 4096


@dataclass(frozen=True, slots=True)
class NewImage:
    """What is said of an image. `sha256` is of the file as it comes; None when the caller does not check."""

    name: str
    format: str
    default_user: str
    sha256: str | None


def check_name(ctx: Context, name: str) -> None:
    """Refuse a taken name before gigabytes are sent. Raises ConflictError."""
    with unit_of_work(ctx.db):
        _check_free(name)


def request_upload(ctx: Context, actor: Actor, new: NewImage, *, image_id: str, sha256: str) -> str:
    """Check the file that uploads.receiving() wrote, and enqueue; returns the job's id. Inside its block."""
    return _request(ctx, actor, new, uploads.packed(ctx, image_id), image_id, sha256, from_server=None)


def request_from_server(ctx: Context, actor: Actor, new: NewImage, path: str) -> str:
    """Check a file under the server's image folder, and enqueue; returns the job's id."""
    file = _server_file(ctx.settings.server_image_dir, path)
    return _request(ctx, actor, new, file, ctx.ids.uuid(), _digest(file), from_server=str(file))


def run(ctx: Context, job: Job) -> None:
    """Unpack, import, take the golden snapshot."""
    image = queries.get(Image, job.object_id)
    source = Path(job.args["path"] or uploads.packed(ctx, image.id))
    with job.undo() as undo:
        if image.format != "raw":
            job.step("unpack", image_file.convert_to_raw, source, uploads.unpacked(ctx, image.id))
            source = uploads.unpacked(ctx, image.id)
        undo.push("remove_image", image.pool, image.rbd_name)
        job.step("import", _import, ctx, job, image, source)
        job.step("clean", uploads.discard, ctx, image.id)
        # Last: once VMs may be cloned from it, nothing takes the image back.
        job.write("record", _record, image.id)


def remove_image(ctx: Context, pool: str, rbd_name: str) -> None:
    """Remove what was imported."""
    ctx.storage.remove_image(ImageRef(pool, rbd_name))


def forget_image(ctx: Context, image_id: str) -> None:
    """The image was not made after all."""
    uploads.discard(ctx, image_id)
    with transaction(ctx.db):
        Image.delete().where(Image.id == image_id).execute()


OPERATION = Operation(
    kind="import_image", run=run, steps_version=2, undo={"remove_image": remove_image, "forget_image": forget_image}
)


def _request(
    ctx: Context, actor: Actor, new: NewImage, file: Path, image_id: str, sha256: str, *, from_server: str | None
) -> str:
    if new.sha256 is not None and new.sha256 != sha256:
        raise InvalidError(f"The bytes have the SHA-256 {sha256}, not {new.sha256}.", code="image.wrong_digest")
    size_bytes = image_file.inspect(file, new.format, max_bytes=ctx.settings.max_image_bytes)
    size_bytes = -(-size_bytes // SECTOR_BYTES) * SECTOR_BYTES
    with transaction(ctx.db):
        _check_free(new.name)
        _check_pool(ctx, size_bytes)
        image = Image.create(
            id=image_id,
            created_at=ctx.clock.now(),
            name=new.name,
            state="importing",
            format=new.format,
            default_user=new.default_user,
            pool=ctx.settings.image_pool,
            rbd_name=f"image-{image_id}",
            size_bytes=size_bytes,
            sha256=sha256,
        )
        args = {"path": from_server}
        return accept(ctx, actor, OPERATION, image, args=args, undo=[("forget_image", image.id)])


def _check_free(name: str) -> None:
    if queries.find(Image, name) is not None:
        raise ConflictError(f"There is an image '{name}' already.", code="image.name_taken")


def _check_pool(ctx: Context, size_bytes: int) -> None:
    pool = queries.pool(ctx.settings.image_pool)
    if pool is not None and (pool.facts["full"] or pool.facts["free_bytes"] < size_bytes):
        raise ConflictError(f"Pool '{pool.name}' has no room for {size_bytes} bytes.", code="pool.full")


def _server_file(folder: Path | None, path: str) -> Path:
    if folder is None:
        raise InvalidError("No folder for images on the server is configured.", code="image.no_server_folder")
    try:
        file = (folder / path).resolve()
        if file.is_relative_to(folder.resolve()) and file.is_file():
            return file
    except (OSError, RuntimeError) as failure:  # a name too long, a folder that may not be read, links in a circle
        raise _no_server_file(path) from failure
    raise _no_server_file(path)


def _no_server_file(path: str) -> InvalidError:
    told = f"There is no file '{path[: queries.LONGEST_ECHO]}' in the server's image folder."
    return InvalidError(told, code="image.no_server_file")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _import(ctx: Context, job: Job, image: Image, source: Path) -> None:
    def show(done_bytes: int) -> None:
        job.progress(done_bytes / image.size_bytes, f"{done_bytes >> 20} of {image.size_bytes >> 20} MiB")

    ctx.storage.import_image(
        ImageRef(image.pool, image.rbd_name),
        image_file.written_chunks(source),
        size_bytes=image.size_bytes,
        progress=show,
    )


def _record(image_id: str) -> None:
    Image.update(state="ready").where(Image.id == image_id).execute()
