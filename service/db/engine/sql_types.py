"""Types of queries and of what they carry, for packages that build no queries of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

from peewee import Expression, Field, ForeignKeyField, Model, ModelSelect, ModelUpdate, Query

Value: TypeAlias = Any  # a column's Python value
Values: TypeAlias = tuple[Value, ...]
Tuples: TypeAlias = Iterable[Values]
Column: TypeAlias = "Field[Any]"
Select = ModelSelect
Table: TypeAlias = type[Model]
Condition: TypeAlias = Expression
ForeignKey: TypeAlias = ForeignKeyField
Update: TypeAlias = ModelUpdate


class Named(Protocol):
    """Table of objects with an id, a name and a creation time."""

    id: Any
    name: Any
    created_at: Any


__all__ = [
    "Column", "Condition", "ForeignKey", "Model", "Named", "Query", "Select", "Table", "Tuples", "Update",
    "Value", "Values",
]  # fmt: skip
