"""Import an image: arrive → verify → unpack → inspect → import; all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from service.context import Context
from service.db import queries, quotas
from service.db.engine.database import transaction
from service.db.tables import Image
from service.errors import InvalidError
from service.jobs.job import Job
from service.jobs.job_tables import Job as JobRow
from service.jobs.operation import Operation
from service.network.remote_url import parse
from service.operations.accept import accept
from service.operations.actor import Actor
from service.operations.authorise import authorise
from service.operations.images import arrive, content, definition, files, formats, unpack
from service.operations.images.definition import NewImage
from storage.refs import ImageRef

# Long phases that use shared resources (network, disk, a core): limited to so many jobs of each at a time.
HEAVY = (("fetch",), ("verify", "decompress", "convert", "digest"))
MOST_AT_ONCE = 2
ANOTHER_TURN = timedelta(seconds=3)


def request_from_url(ctx: Context, actor: Actor, new: NewImage, url: str) -> str:
    """Check what needs no network, enqueue the job and return its id."""
    target = parse(url, ctx.settings.fetch_ports)
    with transaction(ctx.db):
        if target.address is not None:
            arrive.fetcher(ctx).reach.check(target.host, target.address)
        return begin(ctx, actor, new, image_id=ctx.ids.uuid(), url=str(target))


def request_from_server(ctx: Context, actor: Actor, new: NewImage, path: str) -> str:
    """Enqueue the import of a file in the server's image folder; return the job's id.

    The file is kept. Raises ForbiddenError.
    """
    authorise(actor, "image:write_from_server")
    file = arrive.server_file(ctx, path)
    with transaction(ctx.db):
        return begin(ctx, actor, new, image_id=ctx.ids.uuid(), path=str(file))


def begin(
    ctx: Context, actor: Actor, new: NewImage, *, image_id: str, url: str | None = None, path: str | None = None
) -> str:
    """Create the row and enqueue the job, in the caller's transaction.

    Without `url` and `path` the file was uploaded.
    """
    definition.check(ctx, actor, new)
    image = definition.create_row(ctx, actor, new, image_id=image_id, source=_without_query(url))
    args = {"url": url, "path": path, "sha256": new.sha256}
    return accept(ctx, actor, OPERATION, image, args=args, undo=[("forget_image", image.id)])


def run(ctx: Context, job: Job) -> None:
    """Run the phases; an interrupted step starts over and replaces its files."""
    image = queries.by_id(Image, job.object_id)
    with job.undo() as undo:
        _arrive(ctx, job, image)
        _take_turn(ctx, job, HEAVY[1])
        sha256 = job.step("verify", _verify, ctx, job, image)
        file, size_bytes = _unpack(ctx, job, image)
        raw_sha256 = job.step("digest", content.digest, file, size_bytes, _look(ctx, job, size_bytes))
        undo.push("remove_image", image.pool, image.storage_name)
        job.step("import", _import, ctx, job, image, file, size_bytes)
        job.step("clean", files.discard, ctx, image.id)
        # Last, because the import cannot be undone once VMs may be cloned from the image.
        job.write("record", _record, image.id, sha256, raw_sha256)


def remove_image(ctx: Context, pool: str, name: str) -> None:
    """Remove the imported block device."""
    ctx.storage.remove_image(ImageRef(pool, name))


def forget_image(ctx: Context, image_id: str) -> None:
    """Delete an image's files and row and release its quota."""
    files.discard(ctx, image_id)
    with transaction(ctx.db):
        image = queries.find_by_id(Image, image_id)
        if image is not None:
            quotas.give_back(image.project_id, quotas.of_image(image.pool, image.size_bytes))
            Image.delete().where(Image.id == image_id).execute()


OPERATION = Operation(
    kind="import_image", run=run, steps_version=3, undo={"remove_image": remove_image, "forget_image": forget_image}
)


def _without_query(url: str | None) -> str | None:
    """Return the URL for display, without its query: a signature there grants access."""
    return None if url is None else url.partition("?")[0]


def _arrive(ctx: Context, job: Job, image: Image) -> None:
    target = files.packed(ctx, image.id)
    if job.args["url"]:
        _take_turn(ctx, job, HEAVY[0])
        job.step("fetch", arrive.fetch, ctx, job.args["url"], target, _look(ctx, job, 0))
    elif job.args["path"]:
        job.step("copy", arrive.copy, Path(job.args["path"]), target, _look(ctx, job, 0))


def _take_turn(ctx: Context, job: Job, phases: tuple[str, ...]) -> None:
    """Wait while too many images are in these phases. Raises Wait."""
    others = (JobRow.kind == job.kind) & (JobRow.state == "running") & (JobRow.id != job.id)
    if JobRow.select().where(others & JobRow.phase.in_(phases)).count() >= MOST_AT_ONCE:
        job.wait(f"{MOST_AT_ONCE} other images are in {phases[0]} now", ctx.clock.now() + ANOTHER_TURN)


def _verify(ctx: Context, job: Job, image: Image) -> str:
    path, wanted = files.packed(ctx, image.id), job.args["sha256"]
    size_bytes = path.stat().st_size
    found = content.digest(path, size_bytes, _look(ctx, job, size_bytes))
    if wanted is not None and wanted != found:
        raise InvalidError(f"The file has the SHA-256 {found}, not {wanted}: send it again.", code="image.wrong_digest")
    formats.check_compression(path, image.compression)
    return found


def _unpack(ctx: Context, job: Job, image: Image) -> tuple[Path, int]:
    """Return the raw disk's file and its size in bytes."""
    file, most = files.packed(ctx, image.id), ctx.settings.max_image_bytes
    bounds = _bounds(ctx, job)
    if image.compression != "none":
        packed, file = file, files.plain(ctx, image.id)
        job.step("decompress", unpack.decompress, packed, image.compression, file, bounds)
    size_bytes = job.step("inspect", formats.inspect, file, image.format, max_bytes=most)
    job.write("claim", _claim, image.id, size_bytes)
    if image.format == "qcow2":
        packed, file = file, files.raw(ctx, image.id)
        job.step("convert", unpack.convert, packed, file, size_bytes, bounds)
    return file, size_bytes


def _claim(image_id: str, size_bytes: int) -> None:
    """Claim the size, now known, in the pool and the project's quota."""
    image = queries.by_id(Image, image_id)
    definition.check_room(image.pool, size_bytes)
    quotas.claim(image.project_id, quotas.of_image(image.pool, size_bytes))
    Image.update(size_bytes=size_bytes).where(Image.id == image_id).execute()


def _bounds(ctx: Context, job: Job) -> unpack.Bounds:
    look = _look(ctx, job, 0)
    settings = ctx.settings
    return unpack.Bounds(settings.max_image_bytes, settings.unpack_timeout_s, ctx.clock.monotonic, lambda: look(0))


def _look(ctx: Context, job: Job, size_bytes: int) -> Callable[[int], None]:
    """Return a callback that checks for cancellation and room and reports progress.

    It acts at most once a second.
    """
    seen_at = ctx.clock.monotonic()

    def look(done_bytes: int) -> None:
        nonlocal seen_at
        if ctx.clock.monotonic() - seen_at < 1.0:
            return
        seen_at = ctx.clock.monotonic()
        job.check_cancelled()
        files.check_room(ctx)
        if done_bytes:
            job.progress(done_bytes / size_bytes if size_bytes else 0.0, f"{done_bytes >> 20} MiB")

    return look


def _import(ctx: Context, job: Job, image: Image, file: Path, size_bytes: int) -> None:
    def show(done_bytes: int) -> None:
        job.progress(done_bytes / size_bytes, f"{done_bytes >> 20} of {size_bytes >> 20} MiB")

    chunks = content.written_chunks(file)
    ctx.storage.import_image(ImageRef(image.pool, image.storage_name), chunks, size_bytes=size_bytes, progress=show)


def _record(image_id: str, sha256: str, raw_sha256: str) -> None:
    Image.update(state="ready", sha256=sha256, raw_sha256=raw_sha256).where(Image.id == image_id).execute()
