"""Upsert of many rows by one prepared statement, without an object per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.db.engine.database import BaseModel


def upsert(model: type[BaseModel], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, or replace those with the same first column.

    Inside the caller's transaction. `rows` have the database's own values: integers and text, in the order of `columns`
    (names of fields).
    """
    if not rows:
        return
    db, names = model._meta.database, [model._meta.fields[column].column_name for column in columns]
    fresh = ", ".join(f'"{name}" = EXCLUDED."{name}"' for name in names[1:])
    listed, marks = ", ".join(f'"{name}"' for name in names), ", ".join([db.param] * len(names))
    into = f'INSERT INTO "{model._meta.table_name}" ({listed}) VALUES ({marks})'  # noqa: S608 - the code's own names
    db.cursor().executemany(f'{into} ON CONFLICT ("{names[0]}") DO UPDATE SET {fresh}', rows)
