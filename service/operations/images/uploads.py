"""Uploads: announced, filled in pieces over any number of calls, then images.

The number of bytes received is the length of the file, so neither a broken connection nor a killed process loses
acknowledged bytes, and no database write is made per piece.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import IO

from service.context import Context
from service.db.engine.database import transaction, unit_of_work
from service.db.engine.sql_types import Select
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
# A piece that takes longer is ended, and the client continues with another: so no client holds one of the few slots for
# ever.
PIECE_S = 300.0


def create(ctx: Context, actor: Actor, new: NewImage, size_bytes: int) -> Upload:
    """Announce a file.

    Raises InvalidError, ConflictError (`image.*`, `upload.project_full`), UnavailableError.
    """
    if size_bytes > ctx.settings.max_image_bytes:
        detail = f"The file has more than the allowed {ctx.settings.max_image_bytes} bytes."
        raise InvalidError(detail, code="image.too_large")
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


def readable(scope: Scope) -> Select[Upload]:
    """Return a query of the uploads of all visible projects."""
    seen = scope.owns(Upload)
    return Upload.select() if seen is None else Upload.select().where(seen)


def get(actor: Actor, upload_id: str) -> Upload:
    """Return one upload. Raises NotFoundError (`upload.not_found`)."""
    row: Upload | None = Upload.get_or_none(Upload.id == upload_id)
    if row is None or not actor.scope.sees(row.project_id):
        raise not_found("upload", upload_id)
    return row


def offset(ctx: Context, upload: Upload) -> int:
    """Return the number of bytes received."""
    if upload.job_id is not None:
        return int(upload.size_bytes)
    try:
        return files.packed(ctx, upload.id).stat().st_size
    except FileNotFoundError:  # it became an image, or was abandoned, since the row was read
        return 0


def receive(ctx: Context, actor: Actor, upload_id: str, at: int, stream: IO[bytes], length: int) -> Upload:
    """Append `length` bytes at the offset `at`; the last piece enqueues the import.

    Bytes received before a connection broke are kept. Raises ConflictError (`upload.*`), InvalidError,
    UnavailableError.
    """
    with unit_of_work(ctx.db):
        upload = _unfinished(actor, upload_id)
        authorise(actor, "image:write", upload)
        files.ensure(files.packed(ctx, upload.id))  # after a restore there is the row without the file
        with files.held(files.packed(ctx, upload.id)) as file:
            _unfinished(actor, upload_id)  # the previous holder of the lock may have sent the last piece
            _check_piece(upload, at, file.seek(0, os.SEEK_END), length)
            files.check_room(ctx, length)
            _append(ctx, file, stream, length)
            if at + length == upload.size_bytes:
                return _finish(ctx, actor, upload)
        with transaction(ctx.db):
            Upload.update(expires_at=_expiry(ctx)).where(Upload.id == upload.id).execute()
        return get(actor, upload_id)


def abandon(ctx: Context, actor: Actor, upload_id: str) -> None:
    """Abandon an upload; an image that it has become stays.

    Raises NotFoundError, ConflictError (`upload.busy`).
    """
    with transaction(ctx.db):
        upload = get(actor, upload_id)
        authorise(actor, "image:write", upload)
        audit.record(ctx, actor, "abandon_upload", "upload", upload)
        remove(ctx, upload)


def remove(ctx: Context, upload: Upload) -> None:
    """Remove row and file, unless an image has the file by now.

    Raises ConflictError (`upload.busy`).
    """
    if upload.job_id is None:
        path = files.packed(ctx, upload.id)
        if path.exists():
            with files.held(path):
                path.unlink()
    Upload.delete().where(Upload.id == upload.id).execute()


def _finish(ctx: Context, actor: Actor, upload: Upload) -> Upload:
    """Make the complete upload an image.

    If that fails now, it stays complete, and an empty piece retries.
    """
    with transaction(ctx.db):
        new, scope = NewImage(**upload.image), Scope(upload.project_id, frozenset({upload.project_id}))
        # Of the upload's project, whatever project the last piece was sent in.
        job_id = import_image.begin(ctx, replace(actor, scope=scope), new, image_id=upload.id)
        Upload.update(job_id=job_id, expires_at=_expiry(ctx)).where(Upload.id == upload.id).execute()
        return get(actor, upload.id)


def _unfinished(actor: Actor, upload_id: str) -> Upload:
    upload = get(actor, upload_id)
    if upload.job_id is not None:
        raise ConflictError(f"Upload '{upload.name}' is complete: wait for its job.", code="upload.finished")
    return upload


def _check_piece(upload: Upload, at: int, here: int, length: int) -> None:
    if at != here:
        detail = f"{here} bytes of '{upload.name}' were received, not {at}: continue with 'Upload-Offset: {here}'."
        raise ConflictError(detail, code="upload.wrong_offset")
    if at + length > upload.size_bytes:
        detail = f"'{upload.name}' was announced with {upload.size_bytes} bytes, but more came: announce it again."
        raise InvalidError(detail, code="upload.too_long")


def _append(ctx: Context, file: IO[bytes], stream: IO[bytes], length: int) -> None:
    left, deadline = length, ctx.clock.monotonic() + PIECE_S
    with files.room():
        try:
            while left and ctx.clock.monotonic() < deadline and (chunk := _next(stream, left)):
                file.write(chunk)
                left -= len(chunk)
        finally:  # keep the bytes received so far
            file.flush()
            os.fsync(file.fileno())
    if left:
        raise InvalidError(f"{left} bytes are missing: get the offset and continue.", code="upload.cut_short")


def _next(stream: IO[bytes], left: int) -> bytes:
    """Read the next bytes; none when the client disconnected or is too slow.

    The caller then answers with the number of missing bytes.
    """
    try:
        return stream.read(min(CHUNK_BYTES, left))
    except (ConnectionError, TimeoutError, BlockingIOError):  # the last is raised at a socket's own timeout
        return b""


def _check_bounds(ctx: Context, project_id: str, size_bytes: int) -> None:
    """Check the announced bytes, in all and per project, and the free disk space."""
    if announced_bytes(project_id) + size_bytes > ctx.settings.project_upload_bytes:
        limit = ctx.settings.project_upload_bytes
        detail = f"The project's uploads may have {limit} bytes in all: finish or abandon some ('nacre image uploads')."
        raise ConflictError(detail, code="upload.project_full")
    if announced_bytes() + size_bytes > ctx.settings.upload_dir_bytes:
        raise files.no_room()
    files.check_room(ctx, size_bytes)


def _expiry(ctx: Context) -> datetime:
    return ctx.clock.now() + timedelta(seconds=ctx.settings.upload_life_s)
