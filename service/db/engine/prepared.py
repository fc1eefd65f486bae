"""Statements of the paths that are walked most: put into SQL once, then run with other values.

peewee needs longer to write a statement than SQLite to execute it. Here the same queries are written in peewee's words,
for both products; their text, and how each value is kept and each row is read, is worked out at the first run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from peewee import BigIntegerField, CharField, Field, ForeignKeyField, IntegerField, Model, TextField
from peewee import ColumnBase as Column

from service.db.engine.fields import UtcField

M = TypeVar("M", bound=Model)

AS_THEY_COME = (CharField, TextField, IntegerField, BigIntegerField, ForeignKeyField)  # exactly these, no field of ours
Convert = Callable[[Any], Any]


class Parameter(Column):
    """A value that every run gives. `field` says how it is kept, where it does not stand beside its column."""

    def __init__(self, name: str, field: Field | None = None) -> None:
        self.name = name
        self.field = field

    def __sql__(self, ctx: Any) -> Any:
        return ctx.value(_Slot(self.name, _writing(self.field, ctx.state.converter)), converter=False)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a parameter's value goes."""

    name: str
    convert: Convert | None  # None: as it is


@dataclass(frozen=True, slots=True)
class _Statement:
    """A query as one product wants it."""

    sql: str
    values: tuple[Any, ...]

    def filled(self, given: dict[str, Any]) -> list[Any]:
        values = []
        for value in self.values:
            if type(value) is _Slot:
                told = given[value.name]
                value = told if value.convert is None else value.convert(told)
            values.append(value)
        return values


class Prepared(Generic[M]):
    """A query on `table` with Parameters in it; `build` writes it once the tables belong to a database.

    `beside` is a reference whose row is selected too, with all its columns, after the table's own.
    """

    def __init__(self, table: type[M], build: Callable[[], Any], *, beside: ForeignKeyField | None = None) -> None:
        self._table = table
        self._build = build
        self._beside = beside
        self._statements: dict[type, _Statement] = {}
        self._reading: list[tuple[str, Convert | None]] = []

    def tuples(self, **given: Any) -> list[tuple[Any, ...]]:
        """The rows as the database has them."""
        db, statement = self._statement()
        return cast(list[tuple[Any, ...]], db.rows(statement.sql, statement.filled(given)))

    def run(self, **given: Any) -> int:
        """Do it; how many rows were changed."""
        db, statement = self._statement()
        return cast(int, db.changed(statement.sql, statement.filled(given)))

    def later(self, **given: Any) -> None:
        """Do it, at the latest with the commit, and wait for nothing."""
        db, statement = self._statement()
        db.later(statement.sql, statement.filled(given))

    def all(self, **given: Any) -> list[M]:
        """The rows of a query that selects all columns of its table, and nothing else."""
        self._reading = self._reading or _reading(self._table)
        return [self._row(values) for values in self.tuples(**given)]

    def first(self, **given: Any) -> M | None:
        """The first of them; None when there is none. Say limit(1) in the query."""
        rows = self.all(**given)
        return rows[0] if rows else None

    def _row(self, values: tuple[Any, ...]) -> M:
        count = len(self._reading)
        row = _row(self._table, self._reading, values[:count])
        if self._beside is not None:
            other = self._beside.rel_model
            row.__rel__[self._beside.name] = _row(other, _reading(other), values[count:])
        return row

    def _statement(self) -> tuple[Any, _Statement]:
        db = _database(self._table)
        statement = self._statements.get(type(db))
        if statement is None:
            statement = self._statements[type(db)] = _compiled(db, self._build())
        return db, statement


def insert(table: type[M], **columns: Any) -> M:
    """Add a row, defaults filled in, and return it. As create(), for tables whose ids do not come from the database."""
    row = _new(table, columns)
    _insert(table, [row.__data__])
    return row


def insert_all(table: type[M], rows: Sequence[dict[str, Any]]) -> list[M]:
    """Add rows that all have values for the same columns, in one statement; none is fine."""
    made = [_new(table, columns) for columns in rows]
    if made:
        _insert(table, [row.__data__ for row in made])
    return made


def write_back(row: Model, *names: str) -> None:
    """Write these columns of a row that is there already as they are now in hand."""
    table = type(row)
    statement = _UPDATES.get((table, names)) or _UPDATES.setdefault((table, names), _update_statement(table, names))
    statement.later(**{name: row.__data__.get(name) for name in names}, _id=cast(Any, row)._pk)


_UPDATES: dict[tuple[type[Model], tuple[str, ...]], Prepared[Any]] = {}


def _update_statement(table: Any, names: tuple[str, ...]) -> Prepared[Any]:
    fields, key = table._meta.fields, table._meta.primary_key
    new = {fields[name]: Parameter(name, fields[name]) for name in names}
    return Prepared(table, lambda: table.update(new).where(key == Parameter("_id")))


_INSERTS: dict[tuple[Any, ...], tuple[str, list[tuple[str, Convert | None]]]] = {}


def _insert(table: type[Model], rows: list[dict[str, Any]]) -> None:
    db, names = _database(table), tuple(rows[0])
    key = (type(db), table, names, len(rows))
    sql, columns = _INSERTS.get(key) or _INSERTS.setdefault(key, _insert_statement(db, table, names, len(rows)))
    db.later(sql, [convert(row[name]) if convert else row[name] for row in rows for name, convert in columns])


def _insert_statement(
    db: Any, table: Any, names: tuple[str, ...], count: int
) -> tuple[str, list[tuple[str, Convert | None]]]:
    fields = table._meta.fields
    row = {fields[name]: Parameter(name, fields[name]) for name in names}
    statement = _compiled(db, table.insert_many([row] * count))
    return statement.sql, [(slot.name, slot.convert) for slot in statement.values[: len(names)]]


def _new(table: type[M], columns: dict[str, Any]) -> M:
    meta: Any = table._meta
    row = _empty(table, meta.get_default_dict() | columns)
    for name in _references(table):
        value = columns.get(name)
        if isinstance(value, Model):
            row.__rel__[name], row.__data__[name] = value, cast(Any, value)._pk
    return row


@functools.cache
def _references(table: type[Model]) -> tuple[str, ...]:
    """Columns that may be given as the row that they refer to."""
    return tuple(field.name for field in _columns(table) if isinstance(field, ForeignKeyField))


def _columns(table: type[Model]) -> Sequence[Field]:
    return cast(Sequence[Field], cast(Any, table)._meta.sorted_fields)


def _compiled(db: Any, query: Any) -> _Statement:
    sql, values = db.get_sql_context().sql(query).query()
    return _Statement(sql, tuple(values))


def _reading(table: type[Model]) -> list[tuple[str, Convert | None]]:
    """The columns in their order, and how each is read; None: as it comes."""
    return [(field.name, None if type(field) in AS_THEY_COME else _or_none(field)) for field in _columns(table)]


def _or_none(field: Field) -> Convert:
    convert: Convert = field.python_value
    return convert if isinstance(field, UtcField) else lambda value: None if value is None else convert(value)


def _row(table: type[M], reading: list[tuple[str, Convert | None]], values: tuple[Any, ...]) -> M:
    pairs = zip(reading, values, strict=True)
    return _empty(table, {name: convert(value) if convert else value for (name, convert), value in pairs})


def _empty(table: type[M], data: dict[str, Any]) -> M:
    """A row that holds `data`, without the detour over one attribute after the other."""
    row: Any = table.__new__(table)
    row.__data__, row.__rel__, row._dirty = data, {}, set()
    return cast(M, row)


def _database(table: Any) -> Any:
    return table._meta.database


def _writing(field: Field | None, converter: Convert | None) -> Convert | None:
    """How a value is kept: by its field's rule, else by that of the column that it is compared with."""
    column = field if field is not None else getattr(converter, "__self__", None)
    return None if type(column) in AS_THEY_COME else (column.db_value if column is not None else converter)
