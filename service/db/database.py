"""Open a database by its URL, and the two ways to use it: a unit of work, and a transaction in it.

What is special to one database product is in this file and nowhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from peewee import Database, Model, OperationalError, SqliteDatabase

from service.db.fields import JsonField, UtcField
from service.errors import ConflictError, InvalidError, UnavailableError

__all__ = ["BaseModel", "Database", "DatabaseBusyError", "JsonField", "UtcField", "bind", "open_database"]
__all__ += ["schema_change", "transaction", "unit_of_work"]

BUSY_TIMEOUT_S = 10
PRAGMAS = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1}


class DatabaseBusyError(UnavailableError):
    """Another writer held the lock for longer than BUSY_TIMEOUT_S. Nothing was written."""

    default_code = "database.busy"


class BaseModel(Model):
    """A table. It belongs to no database until bind()."""

    class Meta:
        legacy_table_names = False


def open_database(url: str) -> Database:
    """`sqlite:////absolute/path` → a database that nobody has connected to yet. Raises InvalidError.

    Connections are one per thread and exist only inside unit_of_work() and transaction().
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme != "sqlite" or parts.netloc or len(path) < 2:
        raise InvalidError(f"database URL {url!r}: write sqlite:////absolute/path/of/a/file", code="settings.database")
    # Three slashes and a relative path, four and an absolute one: the first is only the separator.
    return SqliteDatabase(
        str(Path(path[1:])), pragmas=PRAGMAS, timeout=BUSY_TIMEOUT_S, lock_type="IMMEDIATE", autoconnect=False
    )


def bind(db: Database, models: Sequence[type[Model]]) -> None:
    """Make these tables belong to `db`. Once, at start."""
    db.bind(models, bind_refs=False, bind_backrefs=False)


@contextmanager
def unit_of_work(db: Database) -> Iterator[None]:
    """This thread's connection, closed at the end. Inside another one it is that one."""
    opened = db.connect(reuse_if_open=True)
    try:
        yield
    finally:
        if opened:
            db.close()


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All or nothing. Takes the write lock at once, so that what was read stays true until the commit.

    Inside another transaction it is that one. Never run twice by itself: the caller decides what to try again.
    Raises DatabaseBusyError when the lock was not to be had.
    """
    try:
        with unit_of_work(db):
            if db.in_transaction():
                yield
            else:
                with db.transaction():
                    yield
    except OperationalError as error:
        if not is_busy(error):
            raise
        raise DatabaseBusyError(f"the database was locked for {BUSY_TIMEOUT_S} s: try again") from error


@contextmanager
def schema_change(db: Database) -> Iterator[None]:
    """A transaction that may rebuild tables. References are checked at its end, not on the way.

    Raises ConflictError when rows would point at nothing: nothing has changed then.
    """
    with unit_of_work(db):
        if not isinstance(db, SqliteDatabase):
            with transaction(db):
                yield
            return
        db.pragma("foreign_keys", 0)  # SQLite rebuilds a table by dropping it: references would cascade
        try:
            with transaction(db):
                yield
                broken = db.connection().execute("PRAGMA foreign_key_check").fetchall()  # type: ignore[no-untyped-call]
                if broken:
                    raise ConflictError(f"rows of {broken[0][0]} would refer to nothing", code="database.references")
        finally:
            db.pragma("foreign_keys", 1)


def is_busy(error: OperationalError) -> bool:
    """Whether the database only said that somebody else holds its lock."""
    cause = error.__cause__ or error.__context__
    return isinstance(cause, sqlite3.OperationalError) and cause.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )
