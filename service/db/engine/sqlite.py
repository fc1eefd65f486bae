"""SQLite: one file, one writer at a time; readers never wait."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import weakref
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from peewee import InterfaceError, SqliteDatabase
from peewee import __exception_wrapper__ as peewees_own_errors  # type: ignore[attr-defined]

from service.db.engine.admission import Admission
from service.db.engine.errors import DatabaseBusyError, DatabaseUnavailableError
from service.db.engine.idle_connections import IdleConnections
from service.db.engine.sql_types import Value, Values
from service.errors import ConflictError
from service.json_types import JsonObject

# Checkpoint every 16 MiB instead of every four: a page that many transactions write is then copied less often.
PRAGMAS = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "wal_autocheckpoint": 4000}
MOST_KEPT = 32


class PooledSqlite(SqliteDatabase):
    """SQLite database whose closed connections are reused by any thread."""

    def __init__(self, path: str, *, busy_timeout_s: float, pragmas: JsonObject = PRAGMAS) -> None:
        super().__init__(
            path,
            pragmas=pragmas,
            timeout=busy_timeout_s,
            lock_type="IMMEDIATE",
            autoconnect=False,
            check_same_thread=False,
        )
        self._lock = nullcontext()  # peewee's would guard state that is per thread, and open connections one by one
        self._kept = IdleConnections(sqlite3.Connection.close, MOST_KEPT)
        self._used = threading.local()
        # SQLite itself would let threads sleep and poll, in no order.
        self._writers = Admission("others of this process wrote to the database", 1, busy_timeout_s)
        self._watch_lock = threading.Lock()
        self._watchers: IdleConnections[tuple[int, sqlite3.Connection]] = IdleConnections(lambda one: one[1].close(), 1)
        self._numbers = itertools.count()

    def begin(self, lock_type: str | None = None) -> None:
        """Wait for the process's turn, then for the file's lock."""
        self._writers.wait()
        self._used.writes = True
        try:
            super().begin(lock_type)
        except BaseException:
            self._end_turn()
            raise

    def commit(self) -> None:
        """Commit; the caller must roll back if that fails."""
        super().commit()
        self._end_turn()

    def rollback(self) -> None:
        """Roll back and end the turn in any case."""
        try:
            super().rollback()
        finally:
            self._end_turn()

    def rows(self, sql: str, values: Sequence[Value]) -> list[Values]:
        """Return all rows of a statement: read to its end, it holds no snapshot."""
        with peewees_own_errors:
            return self._in_use().execute(sql, values).fetchall()

    def changed(self, sql: str, values: Sequence[Value]) -> int:
        """Run a statement without rows and return the number of changed rows."""
        with peewees_own_errors:
            return self._in_use().execute(sql, values).rowcount

    def later(self, sql: str, values: Sequence[Value]) -> None:
        """Run a statement without a needed result: on SQLite deferring it gains nothing."""
        self.changed(sql, values)

    def cursor(self, named_cursor: str | None = None) -> sqlite3.Cursor:
        """Return a cursor that is closed with the unit of work.

        One that was not read to its end would hold its snapshot.
        """
        cursor: sqlite3.Cursor = super().cursor(named_cursor)  # type: ignore[no-untyped-call]
        self._used.cursors.add(cursor)
        return cursor

    def version(self) -> Hashable:
        """Return a value that changes with every commit (version.py).

        `data_version` counts the commits of all connections but its own: this connection is shared by all threads and
        commits nothing.
        """
        with self._watch_lock:
            number, connection = self._watchers.take() or self._new_watcher()
            try:
                return number, connection.execute("PRAGMA data_version").fetchone()[0]
            finally:
                self._watchers.give_back((number, connection))

    def _new_watcher(self) -> tuple[int, sqlite3.Connection]:
        return next(self._numbers), sqlite3.connect(self.database, check_same_thread=False)

    def close_kept(self) -> None:
        """Close idle connections to the file."""
        self._kept.close_all()
        self._watchers.close_all()

    def _in_use(self) -> sqlite3.Connection:
        """Return this thread's connection. Raises InterfaceError outside a unit of work."""
        connection: sqlite3.Connection | None = self._state.conn  # type: ignore[attr-defined]
        if connection is None:
            raise InterfaceError("a query outside a unit of work")
        return connection

    def _end_turn(self) -> None:
        if vars(self._used).pop("writes", False):
            self._writers.end()

    def _connect(self) -> sqlite3.Connection:
        self._used.cursors = weakref.WeakSet()
        return self._kept.take() or super()._connect()  # type: ignore[misc]

    def _close(self, conn: sqlite3.Connection) -> None:
        for cursor in list(self._used.cursors):
            cursor.close()
        if conn.in_transaction:
            conn.close()
            self._end_turn()
        else:
            self._kept.give_back(conn)


def open_sqlite(path: Path, *, busy_timeout_s: float) -> PooledSqlite:
    """Return the file's database, not connected yet."""
    return PooledSqlite(str(path), busy_timeout_s=busy_timeout_s)


@contextmanager
def references_checked_at_the_end(db: SqliteDatabase) -> Iterator[None]:
    """Turn off foreign keys in the block: a rebuild drops tables and would cascade.

    Not inside a transaction.
    """
    db.pragma("foreign_keys", 0)
    try:
        yield
    finally:
        db.pragma("foreign_keys", 1)


def check_references(db: SqliteDatabase) -> None:
    """Check that every reference has a row. Raises ConflictError."""
    broken = db.execute_sql("PRAGMA foreign_key_check").fetchall()  # type: ignore[no-untyped-call]
    if broken:
        raise ConflictError(f"rows of {broken[0][0]} would refer to nothing", code="database.references")


def trouble(cause: sqlite3.Error) -> DatabaseUnavailableError | None:
    """Return the transient error; None for a fault."""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return None
    return DatabaseBusyError("the database was locked for too long: retry")
