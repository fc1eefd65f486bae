"""Files of images between arrival and import: one folder, named by the image's id.

A process that receives a file holds a lock on it. A file without a lock and without a row was left by a process that
was killed.
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

# Always left free, so that the database in the same file system can still be written.
SPARE_BYTES = 1 << 30
BLOCK_BYTES = 512  # of st_blocks
OURS = (".upload", ".plain", ".raw")  # all other files in the folder, such as lost+found, are left alone
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def packed(ctx: Context, image_id: str) -> Path:
    """Return the path of the file as received."""
    return ctx.settings.uploads / f"{image_id}.upload"


def plain(ctx: Context, image_id: str) -> Path:
    """Return the path of the decompressed file."""
    return ctx.settings.uploads / f"{image_id}.plain"


def raw(ctx: Context, image_id: str) -> Path:
    """Return the path of the raw disk."""
    return ctx.settings.uploads / f"{image_id}.raw"


def empty(path: Path, size_bytes: int = 0) -> None:
    """Create the file again, mode 0600, as that many zeros in a hole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # another process may have the old file open
    path.touch(mode=0o600, exist_ok=False)
    with path.open("r+b") as file:
        file.truncate(size_bytes)


def ensure(path: Path) -> None:
    """Create the file, mode 0600, if it does not exist."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)


def discard(ctx: Context, image_id: str) -> None:
    """Remove all files of an image, if any."""
    for path in (packed(ctx, image_id), plain(ctx, image_id), raw(ctx, image_id)):
        path.unlink(missing_ok=True)


@contextmanager
def held(path: Path) -> Iterator[IO[bytes]]:
    """Open the file to read and write, with its lock.

    Raises ConflictError (`upload.busy`), NotFoundError (`upload.not_found`).
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError as failure:  # abandoned since its row was read
        raise not_found("upload", path.stem) from failure
    with file:
        if not _is_free(file):
            raise ConflictError("Another call is sending to this upload: wait until it ends.", code="upload.busy")
        yield file


@contextmanager
def room() -> Iterator[None]:
    """Translate the error of a full disk to UnavailableError (`upload.no_room`)."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise no_room() from error


def check_room(ctx: Context, more_bytes: int = 0) -> None:
    """Check that the disk and the folder's limit have room for so many more bytes.

    Raises UnavailableError (`upload.no_room`).
    """
    folder = ctx.settings.uploads
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < more_bytes + SPARE_BYTES:
        raise no_room()
    if used_bytes(ctx) + more_bytes > ctx.settings.upload_dir_bytes:
        raise no_room()


def used_bytes(ctx: Context) -> int:
    """Return the bytes that the files in the folder allocate."""
    return sum(allocated_bytes(path) for path in ctx.settings.uploads.glob("*"))


def allocated_bytes(path: Path) -> int:
    """Return the bytes that a file allocates, without holes; 0 if it does not exist."""
    with suppress(FileNotFoundError):
        return path.stat().st_blocks * BLOCK_BYTES
    return 0


def sweep(ctx: Context) -> None:
    """Remove files without a receiver, an upload or an image under import."""
    for path in ctx.settings.uploads.glob("*"):
        if path.suffix not in OURS or _has_owner(path.stem):
            continue
        with suppress(FileNotFoundError), path.open("rb") as file:  # removed by its receiver just now
            if _is_free(file) and not _has_owner(path.stem):  # checked again while holding the lock
                path.unlink()


def no_room() -> UnavailableError:
    """Return the error of a full upload folder."""
    detail = "The server has no room for more image files: wait for other uploads to end, or enlarge its disk."
    return UnavailableError(detail, code="upload.no_room")


def _is_free(file: IO[bytes]) -> bool:
    """Try to lock the file until it is closed; return False if another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_owner(image_id: str) -> bool:
    waits = Upload.select().where((Upload.id == image_id) & Upload.job_id.is_null())
    importing = Image.select().where((Image.id == image_id) & (Image.state == "importing"))
    return bool(waits.exists() or importing.exists())
