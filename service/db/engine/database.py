"""Open a database by its URL, and the two ways to use it: a unit of work, and a transaction in it.

What is special to a database product is in sqlite.py and postgres.py and nowhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from peewee import Database, Model, PeeweeException, SqliteDatabase

from service.db.engine import postgres, sqlite
from service.db.engine.errors import DatabaseBusyError, DatabaseLostError, DatabaseUnavailableError
from service.db.engine.fields import JsonField, UtcField
from service.db.engine.postgres import open_postgres
from service.db.engine.sqlite import PRAGMAS, check_references, open_sqlite, references_checked_at_the_end
from service.errors import InvalidError

__all__ = ["PRAGMAS", "BaseModel", "Database", "DatabaseBusyError", "DatabaseLostError", "JsonField", "UtcField"]
__all__ += ["bind", "open_database", "part", "schema_change", "transaction", "unit_of_work"]

BUSY_TIMEOUT_S = 10.0
CONNECTIONS = 16


class BaseModel(Model):
    """A table. It belongs to no database until bind()."""

    class Meta:
        legacy_table_names = False


def open_database(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S, connections: int = CONNECTIONS) -> Database:
    """`sqlite:////absolute/path` or `postgresql://…` → a database that nobody has connected to yet.

    It may be queried inside unit_of_work() and transaction() only. `connections` is what a process may hold at a time
    (PostgreSQL). Raises InvalidError.
    """
    parts = urlsplit(url)
    if parts.scheme == "postgresql":
        return open_postgres(url, busy_timeout_s=busy_timeout_s, connections=connections)
    path = unquote(parts.path)
    if parts.scheme != "sqlite" or parts.netloc or len(path) < 2:
        told = "write sqlite:////absolute/path/of/a/file or postgresql://user@host/name"
        raise InvalidError(f"a database URL of {parts.scheme or 'no product'}: {told}", code="settings.database")
    # Three slashes and a relative path, four and an absolute one: the first is only the separator.
    return open_sqlite(Path(path[1:]), busy_timeout_s=busy_timeout_s)


def bind(db: Database, models: Sequence[type[Model]]) -> None:
    """Make these tables belong to `db`. Once, at start."""
    db.bind(models, bind_refs=False, bind_backrefs=False)


@contextmanager
def unit_of_work(db: Database) -> Iterator[None]:
    """Where this thread may query. Inside another one it is that one.

    Raises DatabaseBusyError, DatabaseLostError.
    """
    opened = db.connect(reuse_if_open=True)
    try:
        yield
    except (PeeweeException, psycopg.Error) as error:
        passing = _trouble(error)
        if passing is None:
            raise
        raise passing from error
    finally:
        if opened:
            db.close()


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All or nothing. Takes the write lock at once, so that what was read stays true until the commit.

    Inside another transaction it is that one. Never run twice by itself: the caller decides what to try again.
    Raises DatabaseBusyError when the lock was not to be had, DatabaseLostError.
    """
    with unit_of_work(db):
        if db.in_transaction():
            yield
        else:
            with db.transaction():
                yield


@contextmanager
def part(db: Database) -> Iterator[None]:
    """Some of a transaction, that is taken back by itself when it raises. The placer wants to be told (doubt())."""
    with db.savepoint():
        yield


@contextmanager
def schema_change(db: Database) -> Iterator[None]:
    """A transaction that may rebuild tables, for as long as it takes. References are checked at its end.

    Raises ConflictError when rows would point at nothing: nothing has changed then.
    """
    with unit_of_work(db):
        if isinstance(db, SqliteDatabase):
            with references_checked_at_the_end(db), transaction(db):
                yield
                check_references(db)
        else:
            with transaction(db):
                db.execute_sql("SET LOCAL statement_timeout = 0")  # type: ignore[no-untyped-call]
                yield


def _trouble(error: Exception) -> DatabaseUnavailableError | None:
    """What the product means by it, when it is something that passes."""
    cause = (error.__cause__ or error.__context__) if isinstance(error, PeeweeException) else error
    if isinstance(cause, sqlite3.Error):
        return sqlite.trouble(cause)
    return postgres.trouble(cause) if isinstance(cause, psycopg.Error) else None
