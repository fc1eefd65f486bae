"""Update of one column in many rows by one prepared statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from peewee import Field, chunked

from service.db.engine.database import BaseModel
from service.json_types import Json

T = TypeVar("T")


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Split items into lists of at most `size`, for statements and transactions of bounded length."""
    yield from chunked(items, size)


def set_each(table: type[BaseModel], field: Field, values: Mapping[str, Json]) -> None:
    """Set the column by row id, in the caller's transaction; ignore missing rows."""
    if not values:
        return
    statement, _ = table.update({field: None}).where(table.id == "").sql()  # type: ignore[attr-defined]
    rows = [(field.db_value(value), row_id) for row_id, value in values.items()]  # type: ignore[no-untyped-call]
    table._meta.database.cursor().executemany(statement, rows)
