"""PostgreSQL: transactions that write take one lock at their begin, so that they come one after the other, as with
SQLite. Sessions are read-only outside of them: a write that forgot its transaction is refused by the server.

A thread holds a connection for one statement or one transaction, never between them: a job that copies for an hour
holds none, and a restarted server is noticed by the next statement's fresh connection.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import psycopg
import structlog
from peewee import InterfaceError, PostgresqlDatabase
from psycopg import conninfo, errors
from psycopg.pq import TransactionStatus

from service.db.errors import DatabaseBusyError, DatabaseLostError, DatabaseUnavailableError
from service.db.kept import Kept
from service.db.turns import Turns
from service.errors import InvalidError

log = structlog.get_logger(__name__)

STATEMENT_TIMEOUT_S = 60
IDLE_IN_TRANSACTION_S = 60
WRITERS = 0x6E616372  # the lock that every writing transaction takes: "nacr"
BEGIN = f"BEGIN READ WRITE; SELECT pg_advisory_xact_lock({WRITERS})"
TCP_PATIENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected, errors.TooManyConnections)

# SQLSTATE: connection exceptions; shutdown, crash, start-up; a transaction that said nothing for too long.
GONE = ("08", "57P", "25P03")


class PostgresDatabase(PostgresqlDatabase):
    """Opening a unit of work costs nothing: connections are taken from `pool` and given back by themselves."""

    def __init__(self, pool: Pool) -> None:
        super().__init__("postgresql", prefer_psycopg3=True, autoconnect=False)
        self._lock = nullcontext()  # peewee's guards what is each thread's own
        self._pool = pool
        self._held = threading.local()
        # One has the lock, the next one queues for it at the server; more would only keep readers from connections.
        self._writers = Turns("others of this process wrote to the database", 2, pool.patience_s)

    @property
    def conninfo(self) -> str:
        """How to connect, in libpq's words. It holds no password."""
        return self._pool.conninfo

    def version(self) -> Hashable:
        """See service/db/version.py. Snapshots that are equal as text see the same transactions."""
        try:
            with self._connection() as connection:
                row = connection.execute("SELECT pg_current_snapshot()::text").fetchone()
        except psycopg.Error as error:
            raise trouble(error) or error from error
        return str(row[0]) if row else ""

    def close_kept(self) -> None:
        """Disconnect, as far as nobody is at it."""
        self._pool.close_kept()

    def begin(self, isolation_level: str | None = None) -> None:
        """One round trip for the transaction and the writers' lock: what is read next is what the last one left."""
        del isolation_level
        self._writers.wait()
        self._held.writes = True
        try:
            self._held.connection = self._pool.take()
            self._held.connection.execute(BEGIN, prepare=False)
        except BaseException:
            self._let_go()
            raise

    def commit(self) -> None:
        self._end("COMMIT")

    def rollback(self) -> None:
        """Silent when the connection is gone: then the server has done it."""
        with suppress(psycopg.Error):
            self._end("ROLLBACK")

    def cursor(self, named_cursor: str | None = None) -> psycopg.Cursor:
        """A cursor of the connection that this thread holds."""
        del named_cursor
        cursor: psycopg.Cursor = self._held.connection.cursor()
        return cursor

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        if self.is_closed():
            raise InterfaceError("a query outside a unit of work")
        with self._connection():
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
            self._let_go()

    def _end(self, how: str) -> None:
        if not hasattr(self._held, "connection"):
            return
        try:
            self._held.connection.execute(how)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        held = vars(self._held)
        connection = held.pop("connection", None)
        if connection is not None:
            self._pool.give_back(connection)
        if held.pop("writes", False):
            self._writers.end()

    def _connect(self) -> object:
        return self  # peewee only wants to know that something is there

    def _close(self, conn: object) -> None:
        """The end of a unit of work; one that broke off within a transaction takes it back."""
        del conn
        self._let_go()

    def _set_server_version(self, conn: object) -> None:
        del conn
        self.server_version = 0  # peewee asks for it with other products only


class Pool:
    """At most `most` connections at a time; who finds none free waits for one."""

    def __init__(self, info: str, *, most: int, patience_s: float) -> None:
        self.conninfo = info
        self.patience_s = patience_s
        self._turns = Turns("no connection to the database was free", most, patience_s)
        self._kept: Kept[psycopg.Connection] = Kept(psycopg.Connection.close, most)

    def take(self) -> psycopg.Connection:
        """A connection that works. Raises DatabaseBusyError, DatabaseLostError."""
        self._turns.wait()
        try:
            while (connection := self._kept.take()) is not None:
                if _is_quiet(connection):
                    return connection
                connection.close()
            return connect(self.conninfo)
        except BaseException:
            self._turns.end()
            raise

    def give_back(self, connection: psycopg.Connection) -> None:
        """One that is broken, or still in a transaction, is closed."""
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._kept.give_back(connection)
        else:
            connection.close()
        self._turns.end()

    def close_kept(self) -> None:
        """Close what nobody uses."""
        self._kept.close_all()


def _is_quiet(connection: psycopg.Connection) -> bool:
    """A server that ended the session has said so: what arrives unasked is its last word."""
    ears = select.poll()
    ears.register(connection.fileno(), select.POLLIN | select.POLLRDHUP)
    return not ears.poll(0)


def connect(info: str) -> psycopg.Connection:
    """A new session. Raises DatabaseLostError."""
    try:
        return psycopg.connect(info, autocommit=True)
    except psycopg.OperationalError as error:  # why is for the log: it names the server
        log.warning("database.unreachable", reason=str(error))
        raise DatabaseLostError("the database does not answer: try again when it is back") from error


def open_postgres(url: str, *, busy_timeout_s: float, connections: int) -> PostgresDatabase:
    """`postgresql://user@host:port/name?…`, with libpq's own parameters. Nobody has connected to it yet.

    Raises InvalidError; a password is refused too: settings are shown and logged, a passfile is not.
    """
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise InvalidError(f"the database URL: {error}", code="settings.database") from error
    if given.get("password"):
        told = "the database URL holds a password: write it into a file and say ?passfile=/absolute/path"
        raise InvalidError(told, code="settings.database")
    most = {"lock_timeout": busy_timeout_s, "statement_timeout": STATEMENT_TIMEOUT_S}
    most["idle_in_transaction_session_timeout"] = IDLE_IN_TRANSACTION_S
    options = [f"-c {name}={round(seconds * 1000)}" for name, seconds in most.items()]
    given["options"] = " ".join([str(given.get("options") or ""), "-c default_transaction_read_only=on", *options])
    defaults: dict[str, Any] = {"connect_timeout": 5, "application_name": "nacre", **TCP_PATIENCE}
    info = conninfo.make_conninfo("", **{**defaults, **given, "client_encoding": "UTF8"})
    return PostgresDatabase(Pool(info, most=connections, patience_s=busy_timeout_s))


def trouble(cause: psycopg.Error) -> DatabaseUnavailableError | None:
    """The error that passes; None for a fault."""
    if isinstance(cause, BUSY):
        return DatabaseBusyError("the database was busy for too long: try again")
    untold = isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)) and cause.sqlstate is None
    if untold or (cause.sqlstate or "").startswith(GONE):
        return DatabaseLostError("the connection to the database broke: look what is true, then try again")
    return None
