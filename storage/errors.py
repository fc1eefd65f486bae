"""One error tree for all backends. A driver's own errors never leave the driver."""

from __future__ import annotations


class StorageError(Exception):
    """Any failure of the storage. The message names the object and what was tried."""


class NotFoundError(StorageError):
    """The volume, image or pool does not exist."""


class ConflictError(StorageError):
    """The name is taken by something else (another size or another parent), or the data does not fit the size."""


class BusyError(StorageError):
    """Somebody still holds the object open (a watcher), or clones of the image are alive."""


class FullError(StorageError):
    """The pool or the cluster is full: nothing more can be written, deletes work."""


class DeniedError(StorageError):
    """The control plane's own user may not do this: its capabilities lack it."""


class UnreachableError(StorageError):
    """No answer within the deadline. The outcome is unknown: look before you try again."""
