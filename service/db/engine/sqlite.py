"""SQLite: one file, one writer at a time, readers never wait."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import weakref
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from peewee import InterfaceError, SqliteDatabase
from peewee import __exception_wrapper__ as peewees_own_errors  # type: ignore[attr-defined]

from service.db.engine.admission import Admission
from service.db.engine.errors import DatabaseBusyError, DatabaseUnavailableError
from service.db.engine.idle_connections import IdleConnections
from service.errors import ConflictError

# A page that many transactions write is carried over from the log to the file once in 16 MiB, instead of once in four.
PRAGMAS = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "wal_autocheckpoint": 4000}
MOST_KEPT = 32


class PooledSqlite(SqliteDatabase):
    """Closing gives the connection to whoever opens next, in whatever thread."""

    def __init__(self, path: str, *, busy_timeout_s: float, pragmas: dict[str, Any] = PRAGMAS) -> None:
        super().__init__(
            path,
            pragmas=pragmas,
            timeout=busy_timeout_s,
            lock_type="IMMEDIATE",
            autoconnect=False,
            check_same_thread=False,
        )
        self._lock = nullcontext()  # peewee's guards what is each thread's own, and would open connections in turn
        self._kept = IdleConnections(sqlite3.Connection.close, MOST_KEPT)
        self._used = threading.local()
        # SQLite itself would let threads sleep and look again, in no order.
        self._writers = Admission("others of this process wrote to the database", 1, busy_timeout_s)
        self._watch_lock = threading.Lock()
        self._watchers: IdleConnections[tuple[int, sqlite3.Connection]] = IdleConnections(lambda one: one[1].close(), 1)
        self._numbers = itertools.count()

    def begin(self, lock_type: str | None = None) -> None:
        """The process's turn, then the file's lock."""
        self._writers.wait()
        self._used.writes = True
        try:
            super().begin(lock_type)
        except BaseException:
            self._end_turn()
            raise

    def commit(self) -> None:
        """A commit that fails is still to be rolled back."""
        super().commit()
        self._end_turn()

    def rollback(self) -> None:
        """Whatever comes of it, the turn is over."""
        try:
            super().rollback()
        finally:
            self._end_turn()

    def rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All that a statement answers: read to its end, it holds on to nothing."""
        with peewees_own_errors:
            return self._in_use().execute(sql, values).fetchall()

    def changed(self, sql: str, values: Sequence[Any]) -> int:
        """How many rows a statement that answers nothing has changed."""
        with peewees_own_errors:
            return self._in_use().execute(sql, values).rowcount

    def later(self, sql: str, values: Sequence[Any]) -> None:
        """A statement whose outcome nobody waits for. Here there is nothing to be gained by putting it off."""
        self.changed(sql, values)

    def cursor(self, named_cursor: str | None = None) -> sqlite3.Cursor:
        """A cursor that ends with the unit of work: one that was not read to its end would hold on to its snapshot."""
        cursor: sqlite3.Cursor = super().cursor(named_cursor)  # type: ignore[no-untyped-call]
        self._used.cursors.add(cursor)
        return cursor

    def version(self) -> Hashable:
        """Return a value that changes with every commit (version.py). `data_version` counts the commits of all
        connections but its own: this one is shared by all threads and commits nothing."""
        with self._watch_lock:
            number, connection = self._watchers.take() or self._new_watcher()
            try:
                return number, connection.execute("PRAGMA data_version").fetchone()[0]
            finally:
                self._watchers.give_back((number, connection))

    def _new_watcher(self) -> tuple[int, sqlite3.Connection]:
        return next(self._numbers), sqlite3.connect(self.database, check_same_thread=False)

    def close_kept(self) -> None:
        """Let go of the file, as far as nobody uses it."""
        self._kept.close_all()
        self._watchers.close_all()

    def _in_use(self) -> sqlite3.Connection:
        """This thread's connection. Raises InterfaceError outside of a unit of work."""
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
    """The file's database; nobody has connected to it yet."""
    return PooledSqlite(str(path), busy_timeout_s=busy_timeout_s)


@contextmanager
def references_checked_at_the_end(db: SqliteDatabase) -> Iterator[None]:
    """SQLite rebuilds a table by dropping it: meanwhile references would cascade. Not inside a transaction."""
    db.pragma("foreign_keys", 0)
    try:
        yield
    finally:
        db.pragma("foreign_keys", 1)


def check_references(db: SqliteDatabase) -> None:
    """Raises ConflictError when a row refers to nothing."""
    broken = db.execute_sql("PRAGMA foreign_key_check").fetchall()  # type: ignore[no-untyped-call]
    if broken:
        raise ConflictError(f"rows of {broken[0][0]} would refer to nothing", code="database.references")


def trouble(cause: sqlite3.Error) -> DatabaseUnavailableError | None:
    """The error that passes; None for a fault."""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return None
    return DatabaseBusyError("the database was locked for too long: try again")
