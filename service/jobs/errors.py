"""Control exceptions of jobs, and the codes of errors that end them."""

from __future__ import annotations

from datetime import datetime

from service.errors import NacreError, UnavailableError
from storage import errors as storage


class LostLeaseError(Exception):
    """Another worker has the job, or it has ended: nothing was written.

    Operations must not catch it.
    """


class Wait(Exception):  # noqa: N818 - not an error: the job resumes later
    """The job cannot continue before `wake_at` (None: until it is woken)."""

    def __init__(self, reason: str, wake_at: datetime | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wake_at = wake_at


class Released(Exception):  # noqa: N818 - not an error: another worker resumes the job
    """The worker is stopping: the job returns to the queue at a step boundary."""


class Cancelled(Exception):  # noqa: N818 - not an error: it was requested
    """Cancellation of the job was requested."""


TRANSIENT = (UnavailableError, storage.BusyError, storage.UnreachableError)
STORAGE_CODES: tuple[tuple[type[storage.StorageError], str], ...] = (
    (storage.NotFoundError, "storage.not_found"),
    (storage.ConflictError, "storage.conflict"),
    (storage.BusyError, "storage.busy"),
    (storage.FullError, "storage.full"),
    (storage.DeniedError, "storage.denied"),
    (storage.UnreachableError, "storage.unreachable"),
    (storage.StorageError, "storage.failed"),
)


def is_transient(error: Exception) -> bool:
    """Return True if a later retry may succeed."""
    return isinstance(error, TRANSIENT)


def is_expected(error: Exception) -> bool:
    """Return True if the error is meant for users; others are faults of the program."""
    return isinstance(error, (NacreError, storage.StorageError))


def code_and_detail(error: Exception) -> tuple[str, str]:
    """Return the stable code and the sentence for people.

    An unexpected error is `internal`: its text is for the log only.
    """
    if isinstance(error, NacreError):
        return error.code, error.detail
    for kind, code in STORAGE_CODES:
        if isinstance(error, kind):
            return code, str(error)
    return "internal", "an unexpected error: the service's log has it under this job's id"
