"""The bindings' errors become the storage's own here, at the edge."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import rados
import rbd

from storage.errors import (
    BusyError,
    ConflictError,
    DeniedError,
    FullError,
    NotFoundError,
    StorageError,
    UnreachableError,
)

_BY_ERRNO: dict[int, type[StorageError]] = {
    errno.ENOENT: NotFoundError,
    errno.EEXIST: ConflictError,
    errno.EBUSY: BusyError,
    errno.ENOTEMPTY: BusyError,  # snapshots are left, kept alive by clones
    errno.EROFS: BusyError,  # another client will not give up the exclusive lock
    errno.ENOSPC: FullError,
    errno.EDQUOT: FullError,
    errno.EPERM: DeniedError,
    errno.EACCES: DeniedError,
    errno.ETIMEDOUT: UnreachableError,
    errno.ESHUTDOWN: UnreachableError,  # this client was blocklisted
}


def error_for(number: int | None, message: str) -> StorageError:
    """Return the storage error for an errno, a plain StorageError for an unknown one."""
    return _BY_ERRNO.get(number or 0, StorageError)(message)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise what the bindings raise inside as a StorageError that says what was tried."""
    try:
        yield
    except (rados.Error, rbd.Error) as error:
        raise error_for(getattr(error, "errno", None), f"{what}: {error}") from error
