"""An upload is a resource: it is announced, filled piece by piece over any number of calls, and becomes an image.

How much of it has come is the length of its file, so neither a broken connection nor a process that was killed loses a
byte that was acknowledged, and no database write is made per piece.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import IO, Any

from service.context import Context
from service.db.engine.database import transaction, unit_of_work
from service.db.queries import not_found
from service.db.scope import Scope
from service.db.tables import Upload
from service.db.uploads import announced_bytes
from service.errors import ConflictError, InvalidError
from service.operations import audit
from service.operations.actor import Actor
from service.operations.authorise import authorise
from service.operations.images import definition, files, import_image
from service.operations.images.definition import NewImage

CHUNK_BYTES = 1 << 20
# A piece that takes longer ends here, and the client goes on with another: so nobody keeps one of few slots for ever.
PIECE_S = 300.0


def create(ctx: Context, actor: Actor, new: NewImage, size_bytes: int) -> Upload:
    """Announce a file. Raises InvalidError, ConflictError (`image.*`, `upload.project_full`), UnavailableError."""
    if size_bytes > ctx.settings.max_image_bytes:
        told = f"The file has over {ctx.settings.max_image_bytes} bytes, which are allowed."
        raise InvalidError(told, code="image.too_large")
    with transaction(ctx.db):
        definition.check(ctx, actor, new)
        _check_bounds(ctx, actor.scope.home(), size_bytes)
        upload = Upload.create(
            id=ctx.ids.uuid(),
            created_at=ctx.clock.now(),
            name=new.name,
            project=actor.scope.home(),
            created_by=actor.name,
            size_bytes=size_bytes,
            image=new.as_json(),
            expires_at=_expiry(ctx),
        )
        files.empty(files.packed(ctx, upload.id))
        audit.record(ctx, actor, "create_upload", "upload", upload)
        return upload


def readable(scope: Scope) -> Any:
    """A query of the uploads of all projects that may be seen."""
    seen = scope.owns(Upload)
    return Upload.select() if seen is None else Upload.select().where(seen)


def get(actor: Actor, upload_id: str) -> Upload:
    """One upload. Raises NotFoundError (`upload.not_found`)."""
    row: Upload | None = Upload.get_or_none(Upload.id == upload_id)
    if row is None or not actor.scope.sees(row.project_id):
        raise not_found("upload", upload_id)
    return row


def offset(ctx: Context, upload: Upload) -> int:
    """How many bytes are here."""
    if upload.job_id is not None:
        return int(upload.size_bytes)
    try:
        return files.packed(ctx, upload.id).stat().st_size
    except FileNotFoundError:  # it became an image, or was given up, since the row was read
        return 0


def receive(ctx: Context, actor: Actor, upload_id: str, at: int, stream: IO[bytes], length: int) -> Upload:
    """Append `length` bytes that begin at the offset `at`; the last of them make the image's job.

    What came before a connection broke is kept. Raises ConflictError (`upload.*`), InvalidError, UnavailableError.
    """
    with unit_of_work(ctx.db):
        upload = _unfinished(actor, upload_id)
        authorise(actor, "image:write", upload)
        files.ensure(files.packed(ctx, upload.id))  # a state that was restored has the row and not the file
        with files.held(files.packed(ctx, upload.id)) as file:
            _unfinished(actor, upload_id)  # whoever held the file until now may have sent the end
            _check_piece(upload, at, file.seek(0, os.SEEK_END), length)
            files.check_room(ctx, length)
            _append(ctx, file, stream, length)
            if at + length == upload.size_bytes:
                return _finish(ctx, actor, upload)
        with transaction(ctx.db):
            Upload.update(expires_at=_expiry(ctx)).where(Upload.id == upload.id).execute()
        return get(actor, upload_id)


def abandon(ctx: Context, actor: Actor, upload_id: str) -> None:
    """Give an upload up. An image that it became stays. Raises NotFoundError, ConflictError (`upload.busy`)."""
    with transaction(ctx.db):
        upload = get(actor, upload_id)
        authorise(actor, "image:write", upload)
        audit.record(ctx, actor, "abandon_upload", "upload", upload)
        remove(ctx, upload)


def remove(ctx: Context, upload: Upload) -> None:
    """Row and file, unless the file is an image's by now. Raises ConflictError (`upload.busy`)."""
    if upload.job_id is None:
        path = files.packed(ctx, upload.id)
        if path.exists():
            with files.held(path):
                path.unlink()
    Upload.delete().where(Upload.id == upload.id).execute()


def _finish(ctx: Context, actor: Actor, upload: Upload) -> Upload:
    """All is here. When it cannot become an image now, it stays complete, and an empty piece tries again."""
    with transaction(ctx.db):
        new, scope = NewImage(**upload.image), Scope(upload.project_id, frozenset({upload.project_id}))
        # The upload's project, whichever one the last piece was sent in.
        job_id = import_image.begin(ctx, replace(actor, scope=scope), new, image_id=upload.id)
        Upload.update(job_id=job_id, expires_at=_expiry(ctx)).where(Upload.id == upload.id).execute()
        return get(actor, upload.id)


def _unfinished(actor: Actor, upload_id: str) -> Upload:
    upload = get(actor, upload_id)
    if upload.job_id is not None:
        raise ConflictError(f"Upload '{upload.name}' is complete: its job goes on.", code="upload.finished")
    return upload


def _check_piece(upload: Upload, at: int, here: int, length: int) -> None:
    if at != here:
        told = f"{here} bytes of '{upload.name}' are here, not {at}: go on with 'Upload-Offset: {here}'."
        raise ConflictError(told, code="upload.wrong_offset")
    if at + length > upload.size_bytes:
        told = f"'{upload.name}' was announced with {upload.size_bytes} bytes, and more came."
        raise InvalidError(told, code="upload.too_long")


def _append(ctx: Context, file: IO[bytes], stream: IO[bytes], length: int) -> None:
    left, deadline = length, ctx.clock.monotonic() + PIECE_S
    with files.room():
        try:
            while left and ctx.clock.monotonic() < deadline and (chunk := _next(stream, left)):
                file.write(chunk)
                left -= len(chunk)
        finally:  # whatever came is kept
            file.flush()
            os.fsync(file.fileno())
    if left:
        raise InvalidError(f"{left} bytes are missing: look up the offset and go on.", code="upload.cut_short")


def _next(stream: IO[bytes], left: int) -> bytes:
    """What comes next; nothing when the client broke off, or sends too slowly: it is told how much is missing."""
    try:
        return stream.read(min(CHUNK_BYTES, left))
    except (ConnectionError, TimeoutError, BlockingIOError):  # the last is a socket's own deadline
        return b""


def _check_bounds(ctx: Context, project_id: str, size_bytes: int) -> None:
    """What was announced must fit, all together and per project; and now, on the disk."""
    if announced_bytes(project_id) + size_bytes > ctx.settings.project_upload_bytes:
        told = f"The project's uploads may have {ctx.settings.project_upload_bytes} bytes together: end some first."
        raise ConflictError(told, code="upload.project_full")
    if announced_bytes() + size_bytes > ctx.settings.upload_dir_bytes:
        raise files.no_room()
    files.check_room(ctx, size_bytes)


def _expiry(ctx: Context) -> datetime:
    return ctx.clock.now() + timedelta(seconds=ctx.settings.upload_life_s)
