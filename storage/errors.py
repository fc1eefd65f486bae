"""Errors of all backends. Errors of a driver's library never leave the driver."""

from __future__ import annotations


class StorageError(Exception):
    """A failure of the storage. The message names the object and the action."""


class NotFoundError(StorageError):
    """The volume, image or pool does not exist."""


class ConflictError(StorageError):
    """The name is taken by another object, or the data does not fit the size.

    Another object: of another size or another parent.
    """


class BusyError(StorageError):
    """A client still has the object open (a watcher), or clones of the image exist."""


class FullError(StorageError):
    """The pool or the cluster is full: writes fail, deletes work."""


class DeniedError(StorageError):
    """The capabilities of the control plane's Ceph user do not allow this."""


class UnreachableError(StorageError):
    """No answer within the deadline. The outcome is unknown: check before retrying."""
