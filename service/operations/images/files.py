"""Where an image's bytes lie between their arrival and the import: one folder, files named by the image's id.

Whoever receives a file holds a lock on it. A file that nobody holds and no row owns was left by a process that died.
"""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from service.context import Context
from service.db.queries import not_found
from service.db.tables import Image, Upload
from service.errors import ConflictError, UnavailableError

# What is always left free, so that the database beside it can still be written.
SPARE_BYTES = 1 << 30
BLOCK_BYTES = 512  # of st_blocks
OURS = (".upload", ".plain", ".raw")  # what else lies in the folder, a file system's lost+found too, is not ours
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def packed(ctx: Context, image_id: str) -> Path:
    """The file as it came."""
    return ctx.settings.uploads / f"{image_id}.upload"


def plain(ctx: Context, image_id: str) -> Path:
    """The same without its compression."""
    return ctx.settings.uploads / f"{image_id}.plain"


def raw(ctx: Context, image_id: str) -> Path:
    """The disk that was inside."""
    return ctx.settings.uploads / f"{image_id}.raw"


def empty(path: Path, size_bytes: int = 0) -> None:
    """Make the file anew, for this service alone; it reads as that many zeros and takes no room."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # another may have it open: what it holds is not ours
    path.touch(mode=0o600, exist_ok=False)
    with path.open("r+b") as file:
        file.truncate(size_bytes)


def ensure(path: Path) -> None:
    """Have the file there, for this service alone; what is in it stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)


def discard(ctx: Context, image_id: str) -> None:
    """Remove all that there is of an image. Silent when there is nothing."""
    for path in (packed(ctx, image_id), plain(ctx, image_id), raw(ctx, image_id)):
        path.unlink(missing_ok=True)


@contextmanager
def held(path: Path) -> Iterator[IO[bytes]]:
    """The file, open to read and to write, for one at a time.

    Raises ConflictError (`upload.busy`), NotFoundError (`upload.not_found`).
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError as failure:  # given up since its row was read
        raise not_found("upload", path.stem) from failure
    with file:
        if not _is_free(file):
            raise ConflictError("Another call is sending to this upload: wait until it ends.", code="upload.busy")
        yield file


@contextmanager
def room() -> Iterator[None]:
    """A full disk as an error of ours. Raises UnavailableError (`upload.no_room`)."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise no_room() from error


def check_room(ctx: Context, more_bytes: int = 0) -> None:
    """Raises UnavailableError (`upload.no_room`) when the disk, or the folder's bound, has no room for so much more."""
    folder = ctx.settings.uploads
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < more_bytes + SPARE_BYTES:
        raise no_room()
    if used_bytes(ctx) + more_bytes > ctx.settings.upload_dir_bytes:
        raise no_room()


def used_bytes(ctx: Context) -> int:
    """What the files in the folder really take."""
    return sum(allocated_bytes(path) for path in ctx.settings.uploads.glob("*"))


def allocated_bytes(path: Path) -> int:
    """What a file takes on the disk; holes take nothing, and neither does a file that is gone."""
    with suppress(FileNotFoundError):
        return path.stat().st_blocks * BLOCK_BYTES
    return 0


def sweep(ctx: Context) -> None:
    """Remove files that nobody is receiving and that neither an upload nor an image under import owns."""
    for path in ctx.settings.uploads.glob("*"):
        if path.suffix not in OURS or _has_owner(path.stem):
            continue
        with suppress(FileNotFoundError), path.open("rb") as file:  # gone: its receiver gave it up just now
            if _is_free(file) and not _has_owner(path.stem):  # asked again with the lock in hand
                path.unlink()


def no_room() -> UnavailableError:
    """The server cannot take more now."""
    told = "The server has no room for more image files: wait for other uploads to end, or have its disk made larger."
    return UnavailableError(told, code="upload.no_room")


def _is_free(file: IO[bytes]) -> bool:
    """Whether nobody else has the lock; from now on, until it is closed, we have it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_owner(image_id: str) -> bool:
    waits = Upload.select().where((Upload.id == image_id) & Upload.job_id.is_null())
    importing = Image.select().where((Image.id == image_id) & (Image.state == "importing"))
    return bool(waits.exists() or importing.exists())
