"""Column types with the same meaning on every database.

Instants are integers, JSON is deterministic text.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from peewee import BigIntegerField, TextField

from service.json_types import Json

if TYPE_CHECKING:
    from typing import Self

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def epoch_seconds(at: datetime) -> float:
    """Return the seconds since 1970."""
    return (at - EPOCH).total_seconds()


def optional_epoch_seconds(at: datetime | None) -> float | None:
    """Return the seconds since 1970; None of None."""
    return None if at is None else epoch_seconds(at)


class UtcField(BigIntegerField):
    """Aware datetime, stored as whole microseconds since 1970.

    Exact, sortable, and the same on every database. Raises ValueError for a datetime without a zone.
    """

    if TYPE_CHECKING:

        def __new__(cls, *args: object, **kwargs: object) -> Self: ...

    def db_value(self, value: datetime | None) -> int | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{self.name}: {value!r} has no time zone")
        return (value - EPOCH) // MICROSECOND

    def python_value(self, value: int | None) -> datetime | None:
        return None if value is None else EPOCH + value * MICROSECOND


class JsonField(TextField):
    """Plain JSON data as text with sorted keys, so that equal data is equal text.

    Raises TypeError, ValueError.
    """

    if TYPE_CHECKING:

        def __new__(cls, *args: object, **kwargs: object) -> Self: ...

    def db_value(self, value: Json) -> str | None:
        return None if value is None else ENCODE(value)

    def python_value(self, value: str | None) -> Json:
        return None if value is None else json.loads(value)
