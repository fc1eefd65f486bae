"""Connection pool for PostgreSQL, limited in size, without closed connections."""

from __future__ import annotations

import select

import psycopg
import structlog
from psycopg.pq import TransactionStatus

from service.db.engine.admission import Admission
from service.db.engine.errors import DatabaseLostError
from service.db.engine.idle_connections import IdleConnections

log = structlog.get_logger(__name__)


class Pool:
    """Pool of at most `most` connections; a thread waits if none is free."""

    def __init__(self, info: str, *, most: int, patience_s: float) -> None:
        self.conninfo = info
        self.patience_s = patience_s
        self._turns = Admission("no connection to the database was free", most, patience_s)
        self._kept: IdleConnections[psycopg.Connection] = IdleConnections(psycopg.Connection.close, most)

    def take(self) -> psycopg.Connection:
        """Take a working connection. Raises DatabaseBusyError, DatabaseLostError."""
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
        """Return a connection; one that is broken or in a transaction is closed."""
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._kept.give_back(connection)
        else:
            connection.close()
        self._turns.end()

    def close_kept(self) -> None:
        """Close idle connections."""
        self._kept.close_all()


def _is_quiet(connection: psycopg.Connection) -> bool:
    """Return True if no data is pending: a server that ends a session sends a message."""
    ears = select.poll()
    ears.register(connection.fileno(), select.POLLIN | select.POLLRDHUP)
    return not ears.poll(0)


def connect(info: str) -> psycopg.Connection:
    """Open a new session. Raises DatabaseLostError."""
    try:
        return psycopg.connect(info, autocommit=True)
    except psycopg.OperationalError as error:  # the reason is for the log only: it names the server
        log.warning("database.unreachable", reason=str(error))
        raise DatabaseLostError("the database does not respond: retry when it is back") from error
