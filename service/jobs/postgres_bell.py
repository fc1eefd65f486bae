"""A bell between all processes of one PostgreSQL database: NOTIFY in the transaction that changed something.

A ring is delivered with its commit, or never: no process can die between the two. Whoever loses the connection is told
to look once it is back.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator

import psycopg
import structlog

from service.db.engine.database import unit_of_work
from service.db.engine.postgres import CHANNEL, NOTIFY, PostgresDatabase
from service.db.engine.postgres_pool import connect
from service.errors import UnavailableError
from service.jobs.bell import Desk, LocalListener
from service.world import Clock, Ids, Threads, Transactions

log = structlog.get_logger(__name__)

RECONNECT_S = 1.0


class PostgresBell:
    """Rings reach every process whose PostgresBell is at the same database. Listening starts one reader thread, with
    one connection of its own; close() ends both."""

    def __init__(self, db: PostgresDatabase, *, clock: Clock, ids: Ids, threads: Threads) -> None:
        self._db = db
        self._clock = clock
        self._threads = threads
        self._name = ids.uuid()
        self._desk = Desk()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._wake: int | None = None  # once somebody listens

    def ring(self, *topics: str) -> None:
        """Wake everybody who listens to one of the topics. Never raises."""
        self._desk.ring(topics)
        try:
            with unit_of_work(self._db):
                self._notify(topics)
        except UnavailableError as error:  # listeners look again by themselves
            log.warning("bell.failed", error=str(error))

    def ring_at_commit(self, transactions: Transactions, *topics: str) -> None:
        """Wake them when the transaction under way is in the database, and not at all when it is rolled back."""
        if transactions.top_transaction() is None:
            self.ring(*topics)
            return
        self._db.notify_at_commit(self._name, topics)
        transactions.after_commit(lambda: self._desk.ring(topics))

    def listen(self, *topics: str) -> LocalListener:
        """Begin to listen."""
        listener = LocalListener(self._desk, self._clock, topics)
        self._desk.add(listener)
        with self._lock:
            if self._wake is None:
                self._wake = wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                self._threads.start("bell", lambda: self._read(wake))
        return listener

    def close(self) -> None:
        """Hear nothing more."""
        with self._lock:
            self._closed.set()
            if self._wake is not None:
                os.eventfd_write(self._wake, 1)

    def _notify(self, topics: tuple[str, ...]) -> None:
        message = "\n".join((self._name, *topics))
        self._db.execute_sql(NOTIFY, (message,))  # type: ignore[no-untyped-call]

    def _read(self, wake: int) -> None:
        while not self._closed.is_set():
            try:
                self._hear(wake)
            except (UnavailableError, psycopg.Error) as error:
                log.warning("bell.lost", error=str(error))
                self._clock.wait(self._closed, RECONNECT_S)

    def _hear(self, wake: int) -> None:
        with connect(self._db.conninfo) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._desk.ring_all()  # what was rung for until now went unheard
            for name, *topics in self._messages(connection, wake):
                if name != self._name:
                    self._desk.ring(topics)

    def _messages(self, connection: psycopg.Connection, wake: int) -> Iterator[list[str]]:
        ears = select.poll()
        for source in (connection.fileno(), wake):
            ears.register(source, select.POLLIN)
        while not self._closed.is_set():
            connection.pgconn.consume_input()
            while (notify := connection.pgconn.notifies()) is not None:
                yield notify.extra.decode().split("\n")
            ears.poll()
