"""Where an image's bytes lie between the upload and the import: one folder, files named by the image's id.

Whoever receives a file holds a lock on it until an image owns it. A file that is neither locked nor owned was left by a
call or a process that died; sweep() removes it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from service.context import Context
from service.db.tables import Image
from service.errors import InvalidError, UnavailableError

CHUNK_BYTES = 1 << 20
# What an upload leaves free, so that the database beside it can still be written.
SPARE_BYTES = 1 << 30


def packed(ctx: Context, image_id: str) -> Path:
    """The file as it was uploaded."""
    return ctx.settings.uploads / f"{image_id}.upload"


def unpacked(ctx: Context, image_id: str) -> Path:
    """The raw disk made from it."""
    return ctx.settings.uploads / f"{image_id}.raw"


@contextmanager
def receiving(ctx: Context, stream: IO[bytes], size_bytes: int, image_id: str) -> Iterator[str]:
    """Write the stream to packed(image_id) and yield its SHA-256 as hex; the block makes an image own the file.

    Nothing is left when anything raises. Raises InvalidError (`upload.cut_short`), UnavailableError (`upload.no_room`).
    """
    folder = ctx.settings.uploads
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < size_bytes + SPARE_BYTES:
        raise _no_room(size_bytes)
    path = packed(ctx, image_id)
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield _write(file, stream, size_bytes)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def discard(ctx: Context, image_id: str) -> None:
    """Remove what the upload left. Silent when there is nothing."""
    packed(ctx, image_id).unlink(missing_ok=True)
    unpacked(ctx, image_id).unlink(missing_ok=True)


def sweep(ctx: Context) -> None:
    """Remove files that nobody is receiving and no image under import owns."""
    for path in ctx.settings.uploads.glob("*"):
        with suppress(FileNotFoundError), path.open("rb") as file:  # gone: its receiver gave it up just now
            if _is_free(file) and not _is_importing(path.stem):
                path.unlink()


def _is_free(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_importing(image_id: str) -> bool:
    """Asked only with the file's lock in hand: whoever received it is done or dead."""
    return bool(Image.select().where((Image.id == image_id) & (Image.state == "importing")).exists())


def _write(file: IO[bytes], stream: IO[bytes], size_bytes: int) -> str:
    digest, left = hashlib.sha256(), size_bytes
    try:
        while left and (chunk := stream.read(min(CHUNK_BYTES, left))):
            file.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
        file.flush()  # it is read under its name while it is still open here
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _no_room(size_bytes) from error
    if left:
        raise InvalidError(f"The upload ended {left} bytes early: send it again.", code="upload.cut_short")
    return digest.hexdigest()


def _no_room(size_bytes: int) -> UnavailableError:
    return UnavailableError(f"The server has no room for {size_bytes} bytes: free some disk.", code="upload.no_room")
