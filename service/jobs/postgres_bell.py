"""Bell between all processes of one PostgreSQL database, by NOTIFY.

NOTIFY is part of the transaction that changed something, so a ring is delivered with its commit or never. A process
that lost the connection wakes all its listeners once it has reconnected.
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
    """Bell whose rings reach every process with a PostgresBell of the same database.

    The first listen() starts one reader thread with one connection of its own; close() ends both.
    """

    def __init__(self, db: PostgresDatabase, *, clock: Clock, ids: Ids, threads: Threads) -> None:
        self._db = db
        self._clock = clock
        self._threads = threads
        self._name = ids.uuid()
        self._desk = Desk()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._wake: int | None = None  # set by the first listen()

    def ring(self, *topics: str) -> None:
        """Wake the listeners of any of the topics. Never raises."""
        self._desk.ring(topics)
        try:
            with unit_of_work(self._db):
                self._notify(topics)
        except UnavailableError as error:  # listeners also poll by themselves
            log.warning("bell.failed", error=str(error))

    def ring_at_commit(self, transactions: Transactions, *topics: str) -> None:
        """Wake them at the commit of the transaction under way; not if it rolls back."""
        if transactions.top_transaction() is None:
            self.ring(*topics)
            return
        self._db.notify_at_commit(self._name, topics)
        transactions.after_commit(lambda: self._desk.ring(topics))

    def listen(self, *topics: str) -> LocalListener:
        """Subscribe to the topics."""
        listener = LocalListener(self._desk, self._clock, topics)
        self._desk.add(listener)
        with self._lock:
            if self._wake is None:
                self._wake = wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
                self._threads.start("bell", lambda: self._read(wake))
        return listener

    def close(self) -> None:
        """End the reader thread and its connection."""
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
                self._receive(wake)
            except (UnavailableError, psycopg.Error) as error:
                log.warning("bell.lost", error=str(error))
                self._clock.wait(self._closed, RECONNECT_S)

    def _receive(self, wake: int) -> None:
        with connect(self._db.conninfo) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._desk.ring_all()  # rings before LISTEN were lost
            for name, *topics in self._messages(connection, wake):
                if name != self._name:
                    self._desk.ring(topics)

    def _messages(self, connection: psycopg.Connection, wake: int) -> Iterator[list[str]]:
        poller = select.poll()
        for source in (connection.fileno(), wake):
            poller.register(source, select.POLLIN)
        while not self._closed.is_set():
            connection.pgconn.consume_input()
            while (notify := connection.pgconn.notifies()) is not None:
                yield notify.extra.decode().split("\n")
            poller.poll()
