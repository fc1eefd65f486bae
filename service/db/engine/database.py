"""Database by URL, used in a unit of work or a transaction inside one.

Product-specific code is only in sqlite.py and postgres.py.
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
    """Base of tables. They belong to no database until bind()."""

    class Meta:
        legacy_table_names = False


def open_database(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S, connections: int = CONNECTIONS) -> Database:
    """Open `sqlite:////absolute/path` or `postgresql://…`, without connecting yet.

    It may be queried inside unit_of_work() and transaction() only. `connections` limits those of a process
    (PostgreSQL). Raises InvalidError.
    """
    parts = urlsplit(url)
    if parts.scheme == "postgresql":
        return open_postgres(url, busy_timeout_s=busy_timeout_s, connections=connections)
    path = unquote(parts.path)
    if parts.scheme != "sqlite" or parts.netloc or len(path) < 2:
        forms = "write sqlite:////absolute/path/of/a/file or postgresql://user@host/name"
        raise InvalidError(f"a database URL of {parts.scheme or 'no product'}: {forms}", code="settings.database")
    # Three slashes are a relative path, four an absolute one: the first of them is only the separator.
    return open_sqlite(Path(path[1:]), busy_timeout_s=busy_timeout_s)


def bind(db: Database, models: Sequence[type[Model]]) -> None:
    """Bind these tables to `db`. Once, at start."""
    db.bind(models, bind_refs=False, bind_backrefs=False)


@contextmanager
def unit_of_work(db: Database) -> Iterator[None]:
    """Allow this thread to query inside the block; a nested one joins the outer one.

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
    """Begin a transaction with the write lock: reads stay valid until the commit.

    A nested one joins the outer one. It is never retried by itself: the caller decides that. Raises DatabaseBusyError
    when the lock was not available in time, DatabaseLostError.
    """
    with unit_of_work(db):
        if db.in_transaction():
            yield
        else:
            with db.transaction():
                yield


@contextmanager
def part(db: Database) -> Iterator[None]:
    """Begin a savepoint that is rolled back alone when the block raises.

    Callers must then notify the placer (doubt()).
    """
    with db.savepoint():
        yield


@contextmanager
def schema_change(db: Database) -> Iterator[None]:
    """Begin a transaction that may rebuild tables, without a timeout.

    References are checked at its end: raises ConflictError, and nothing is changed, if rows would refer to missing
    ones.
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
    """Translate a product's error if it is transient; None otherwise."""
    cause = (error.__cause__ or error.__context__) if isinstance(error, PeeweeException) else error
    if isinstance(cause, sqlite3.Error):
        return sqlite.trouble(cause)
    return postgres.trouble(cause) if isinstance(cause, psycopg.Error) else None
