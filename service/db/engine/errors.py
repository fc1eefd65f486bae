"""What a database may answer instead of the rows. It passes: a job goes on later, a request is tried again."""

from __future__ import annotations

from service.errors import UnavailableError


class DatabaseUnavailableError(UnavailableError):
    """Nothing is wrong with what was asked for."""

    default_code = "database.lost"


class DatabaseBusyError(DatabaseUnavailableError):
    """Others held what was needed for too long. Nothing was written."""

    default_code = "database.busy"


class DatabaseLostError(DatabaseUnavailableError):
    """The database does not answer. Unless it broke at the very commit, nothing was written."""
