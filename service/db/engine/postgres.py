"""PostgreSQL: writing transactions are serialised by one lock, as with SQLite.

They take it at their begin. Sessions are read-only outside of them: the server refuses a write without a transaction.

A thread holds a connection for one statement or one transaction, never between them: a job that copies for an hour
holds none, and after a restart of the server the next statement gets a new connection.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import psycopg
from peewee import InterfaceError, PostgresqlDatabase
from psycopg import conninfo, errors

from service.db.engine.admission import Admission
from service.db.engine.errors import DatabaseBusyError, DatabaseLostError, DatabaseUnavailableError
from service.db.engine.postgres_pool import Pool
from service.db.engine.sql_types import Value, Values
from service.errors import InvalidError
from service.json_types import JsonObject

STATEMENT_TIMEOUT_S = 60
IDLE_IN_TRANSACTION_S = 60
WRITERS = 0x6E616372  # the lock that every writing transaction takes: "nacr"
BEGIN = f"BEGIN READ WRITE; SELECT pg_advisory_xact_lock({WRITERS})"
TCP_PATIENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected, errors.TooManyConnections)

CHANNEL = "nacre"
NOTIFY = f"SELECT pg_notify('{CHANNEL}', %s)"
TOPICS_AT_ONCE = 100  # a message has at most 8000 bytes, a topic about 40

# SQLSTATE: connection exceptions; shutdown, crash, start-up; a transaction that was idle for too long.
GONE = ("08", "57P", "25P03")


Statement = tuple[str, Sequence[Value]]


class PostgresDatabase(PostgresqlDatabase):
    """PostgreSQL database; each statement or transaction takes a connection of `pool`.

    So opening a unit of work costs nothing.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__("postgresql", prefer_psycopg3=True, autoconnect=False)
        self._lock = nullcontext()  # peewee's would guard state that is per thread
        self._pool = pool
        self._held = threading.local()
        # One has the lock, the next one queues for it at the server; more would only take connections from readers.
        self._writers = Admission("others of this process wrote to the database", 2, pool.patience_s)

    @property
    def conninfo(self) -> str:
        """Connection string for libpq, without a password."""
        return self._pool.conninfo

    def version(self) -> Hashable:
        """See engine/version.py. Snapshots with equal text see the same commits."""
        try:
            with self._connection() as connection:
                row = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
        except psycopg.Error as error:
            raise trouble(error) or error from error
        return str(row[0]) if row else ""

    def close_kept(self) -> None:
        """Close idle connections."""
        self._pool.close_kept()

    def begin(self, isolation_level: str | None = None) -> None:
        """Begin and take the writers' lock in one round trip.

        So the next read sees the last writer's commit.
        """
        del isolation_level
        self._writers.wait()
        self._held.writes = True
        try:
            self._held.connection = self._pool.take()
            self._held.connection.execute(BEGIN, prepare=False)
        except BaseException:
            self._release()
            raise

    def commit(self) -> None:
        """Commit with all deferred statements, in one round trip."""
        rings = [(NOTIFY, (message,)) for message in _messages(vars(self._held).pop("topics", {}))]
        self._end([*self._take_deferred(), *rings, ("COMMIT", ())])

    def rollback(self) -> None:
        """Roll back; does nothing if the connection is lost: then the server has done it."""
        self._take_deferred()
        with suppress(psycopg.Error):
            self._end([("ROLLBACK", ())])

    def rows(self, sql: str, values: Sequence[Value]) -> list[Values]:
        """Return all rows of a statement."""
        found: list[Values] = self.execute_sql(sql, values).fetchall()  # type: ignore[no-untyped-call]
        return found

    def changed(self, sql: str, values: Sequence[Value]) -> int:
        """Run a statement and return the number of changed rows."""
        return int(self.execute_sql(sql, values).rowcount)  # type: ignore[no-untyped-call]

    def later(self, sql: str, values: Sequence[Value]) -> None:
        """Send a statement, whose result is not needed, with the next or the commit."""
        if self.in_transaction():
            vars(self._held).setdefault("later", []).append((sql, values))
        else:
            self.execute_sql(sql, values)  # type: ignore[no-untyped-call]

    def notify_at_commit(self, sender: str, topics: Iterable[str]) -> None:
        """Notify listeners at the commit of the transaction under way; each topic once."""
        vars(self._held).setdefault("topics", {}).setdefault(sender, {}).update(dict.fromkeys(topics))

    def cursor(self, named_cursor: str | None = None) -> psycopg.Cursor:
        """Return a cursor of the connection that this thread holds."""
        del named_cursor
        cursor: psycopg.Cursor = self._held.connection.cursor()
        return cursor

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        if self.is_closed():
            raise InterfaceError("a query outside a unit of work")
        with self._connection() as connection, _in_one_go(connection, self._take_deferred()):
            return super()._execute_cursor(sql, params, **options)  # type: ignore[misc]

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection]:
        if hasattr(self._held, "connection"):
            yield self._held.connection
            return
        self._held.connection = self._pool.take()
        try:
            yield self._held.connection
        finally:
            self._release()

    def _take_deferred(self) -> list[Statement]:
        """Take the deferred statements; the caller must send them."""
        put_off: list[Statement] = vars(self._held).pop("later", [])
        return put_off

    def _end(self, statements: list[Statement]) -> None:
        *put_off, (last, _) = statements
        if not hasattr(self._held, "connection"):
            return
        try:
            with _in_one_go(self._held.connection, put_off):
                self._held.connection.execute(last)
        finally:
            self._release()

    def _release(self) -> None:
        held = vars(self._held)
        for left in ("later", "topics"):
            held.pop(left, None)
        connection = held.pop("connection", None)
        if connection is not None:
            self._pool.give_back(connection)
        if held.pop("writes", False):
            self._writers.end()

    def _connect(self) -> object:
        return self  # peewee only needs a value that is not None

    def _close(self, conn: object) -> None:
        """End a unit of work, and roll back a transaction that was interrupted."""
        del conn
        self._release()

    def _set_server_version(self, conn: object) -> None:
        del conn
        self.server_version = 0  # peewee asks for it with other products only


@contextmanager
def _in_one_go(connection: psycopg.Connection, first: list[Statement]) -> Iterator[None]:
    """Send these and the statements of the block in a pipeline.

    Raises the error of the first that fails.
    """
    if not first:
        yield
        return
    with connection.pipeline():
        for sql, values in first:
            connection.execute(sql, values)
        yield


def _messages(topics: dict[str, dict[str, None]]) -> Iterator[str]:
    """Yield messages with each sender's topics, as few as the server's limit allows.

    A message has the sender and the topics, a line each.
    """
    for sender, named in topics.items():
        lines = list(named)
        for begin in range(0, len(lines), TOPICS_AT_ONCE):
            yield "\n".join((sender, *lines[begin : begin + TOPICS_AT_ONCE]))


def open_postgres(url: str, *, busy_timeout_s: float, connections: int) -> PostgresDatabase:
    """Open `postgresql://user@host:port/name?…` without connecting.

    Raises InvalidError; a password is refused too: settings are shown and logged, a passfile is not.
    """
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise InvalidError(f"the database URL: {error}", code="settings.database") from error
    if given.get("password"):
        detail = "the database URL contains a password: write it into a file and add ?passfile=/absolute/path"
        raise InvalidError(detail, code="settings.database")
    most = {"lock_timeout": busy_timeout_s, "statement_timeout": STATEMENT_TIMEOUT_S}
    most["idle_in_transaction_session_timeout"] = IDLE_IN_TRANSACTION_S
    options = [f"-c {name}={round(seconds * 1000)}" for name, seconds in most.items()]
    given["options"] = " ".join([str(given.get("options") or ""), "-c default_transaction_read_only=on", *options])
    defaults: JsonObject = {"connect_timeout": 5, "application_name": "nacre", **TCP_PATIENCE}
    info = conninfo.make_conninfo("", **{**defaults, **given, "client_encoding": "UTF8"})
    return PostgresDatabase(Pool(info, most=connections, patience_s=busy_timeout_s))


def trouble(cause: psycopg.Error) -> DatabaseUnavailableError | None:
    """Return the transient error; None for a fault."""
    if isinstance(cause, BUSY):
        return DatabaseBusyError("the database was busy for too long: retry")
    untold = isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)) and cause.sqlstate is None
    if untold or (cause.sqlstate or "").startswith(GONE):
        return DatabaseLostError("the connection to the database broke: check the object, then retry")
    return None
