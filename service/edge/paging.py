"""Pages of lists.

A page starts after a row, not after a number of rows, so every page costs the same. The token contains the sort value
and the id of the last row of the previous page. It is opaque to clients but not secret: it contains only values of that
page.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from urllib.parse import urlencode

from service.db import queries
from service.db.engine.sql_types import Column, Condition, ForeignKey, Model, Named, Select, Value, Values
from service.edge.call import ListCall, Reply
from service.edge.models import Listing
from service.errors import FieldError, InvalidError
from service.json_types import Json, JsonObject

Row = TypeVar("Row", bound=Model)
Show: TypeAlias = Callable[[list[Row]], list[JsonObject]]


@dataclass(frozen=True, slots=True)
class Order:
    """Order of a list: a column, the tie-breaking id, and the direction."""

    name: str
    column: Column
    key: Column
    descending: bool

    def after(self, value: Value, key: Value) -> Condition:
        """Return the condition on rows after this one; its first half uses an index."""
        after: Condition
        if self.descending:
            after = (self.column <= value) & ((self.column < value) | (self.key < key))
        else:
            after = (self.column >= value) & ((self.column > value) | (self.key > key))
        return after

    def clauses(self) -> Values:
        """Return the arguments of order_by()."""
        if self.descending:
            return self.column.desc(), self.key.desc()
        return self.column.asc(), self.key.asc()

    def position(self, row: Row) -> list[Json]:
        """Return the position of a row as JSON data."""
        column, key = self.column, self.key
        stored = (field.db_value(getattr(row, field.name)) for field in (column, key))  # type: ignore[no-untyped-call]
        return [self.name, *stored]


def page(
    call: ListCall,
    query: Select[Row],
    *,
    key: Column,
    sorts: Mapping[str, Column],
    show: Show[Row],
) -> Reply:
    """Return the requested page of a peewee query, with `Link: rel="next"` if there is more.

    `sorts` are the columns that `sort` may name (never null), `key` a unique column that settles ties; both need an
    index together. `show` makes JSON of the page's rows. Raises InvalidError (`request.page_token`).
    """
    asked = call.query
    name = asked.sort.removeprefix("-")
    order = Order(asked.sort, sorts[name], key, descending=asked.sort.startswith("-"))
    if asked.page_token is not None:
        query = query.where(order.after(*_position(asked.page_token, order)))
    rows = list(query.order_by(*order.clauses()).limit(asked.limit + 1))
    token = _token(order.position(rows[asked.limit - 1])) if len(rows) > asked.limit else None
    headers = {"Link": f'<{_next(call, asked, token)}>; rel="next"'} if token else {}
    return Reply({"items": show(rows[: asked.limit]), "next_page_token": token}, headers=headers)


def each(show: Callable[[Row], JsonObject]) -> Show[Row]:
    """Return a `show` for page() that converts each row by itself."""
    return lambda rows: [show(row) for row in rows]


def named(call: ListCall, query: Select[Row], table: type[Named], show: Show[Row]) -> Reply:
    """Return a page() of named objects."""
    return page(call, query, key=table.id, sorts={"name": table.name, "created_at": table.created_at}, show=show)


def equal(call: ListCall, query: Select[Row], **columns: Column) -> Select[Row]:
    """Return the query with the requested filters: parameter=column."""
    for name, column in columns.items():
        value = getattr(call.query, name)
        if value is not None:
            query = query.where(column == value)
    return query


def related(call: ListCall, query: Select[Row], **columns: ForeignKey) -> Select[Row]:
    """Return the query filtered by references, given by id or name.

    An object that the caller may not see has no rows.
    """
    for name, column in columns.items():
        ref = getattr(call.query, name)
        if ref is not None:
            row = queries.find(column.rel_model, ref, call.actor.scope)
            query = query.where(column == (row.id if row else ""))
    return query


def _token(position: list[Json]) -> str:
    raw = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _position(token: str, order: Order) -> Values:
    """Return the values in the token as Python values of the columns. Raises InvalidError."""
    rule = "the next_page_token of a page with the same sort"
    refused = InvalidError(
        f"page_token is not {rule}.", code="request.page_token", errors=(FieldError("page_token", rule),)
    )
    try:
        name, value, key = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, TypeError, RecursionError) as failure:
        raise refused from failure
    if name != order.name or not _fits(order.column, value) or not _fits(order.key, key):
        raise refused
    columns = ((order.column, value), (order.key, key))
    return tuple(column.python_value(given) for column, given in columns)  # type: ignore[no-untyped-call]


def _fits(column: Column, value: Json) -> bool:
    """Return True for a valid column value: text without NUL, or a 64-bit integer."""
    if column.field_type in ("VARCHAR", "TEXT"):
        return isinstance(value, str) and value.isprintable() and len(value) <= 255
    return type(value) is int and abs(value) < 1 << 53


def _next(call: ListCall, asked: Listing, token: str) -> str:
    """Return the path of the next page, with the same filters."""
    given = asked.model_dump(mode="json", exclude_unset=True) | {"page_token": token}
    plain = {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
    return f"{call.path}?{urlencode(plain)}"
