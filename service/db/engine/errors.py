"""Transient errors of a database: a job is resumed later, a request is retried."""

from __future__ import annotations

from service.errors import UnavailableError


class DatabaseUnavailableError(UnavailableError):
    """The database could not be used; the statement itself is valid."""

    default_code = "database.lost"


class DatabaseBusyError(DatabaseUnavailableError):
    """A lock or connection was held by others for too long. Nothing was written."""

    default_code = "database.busy"


class DatabaseLostError(DatabaseUnavailableError):
    """The database is unreachable. Nothing was written unless it broke at the commit."""
