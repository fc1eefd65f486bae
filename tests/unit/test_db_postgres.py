"""What is true of PostgreSQL only: who holds a connection and for how long, what is refused, what a restart does."""

import signal
import threading
from datetime import UTC, datetime

import peewee
import psycopg
import pytest

from service.db.engine.database import (
    BaseModel,
    DatabaseBusyError,
    DatabaseLostError,
    UtcField,
    bind,
    open_database,
    transaction,
    unit_of_work,
)
from service.db.engine.version import Version
from tests.postgres import server

GENEROUS_S = 30.0


class Note(BaseModel):
    at = UtcField()


@pytest.fixture
def url(postgres):
    url = postgres.new()
    yield url
    postgres.drop(url)


def opened(url, **options):
    db = open_database(url, **options)
    bind(db, [Note])
    with transaction(db):
        db.create_tables([Note], safe=True)
    return db


@pytest.fixture
def postgres_db(url):
    return opened(url)


def sessions(url):
    """The backends at this database, but for the one that asks."""
    with psycopg.connect(url, autocommit=True) as one:
        at_it = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        return [row[0] for row in one.execute(f"SELECT pid FROM pg_stat_activity WHERE {at_it}")]


def note():
    return Note.create(at=datetime.now(UTC))


def test_a_write_without_a_transaction_is_refused_by_the_server(postgres_db):
    with pytest.raises(peewee.InternalError, match="read-only"), unit_of_work(postgres_db):
        note()


def test_a_unit_of_work_holds_no_connection_between_its_queries(url):
    db = opened(url, connections=1, busy_timeout_s=GENEROUS_S)
    with unit_of_work(db):
        Note.select().count()
        thread = threading.Thread(target=lambda: transact(db))
        thread.start()
        thread.join()
        assert Note.select().count() == 1


def transact(db):
    with transaction(db):
        note()


def test_many_threads_share_few_connections(url):
    db = opened(url, connections=3)
    threads = [threading.Thread(target=transact, args=(db,)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sessions(url)) <= 3
    with unit_of_work(db):
        assert Note.select().count() == 40


def test_who_finds_no_connection_free_is_told(url):
    db = opened(url, connections=1, busy_timeout_s=0.1)
    refused = []

    def read():
        try:
            with unit_of_work(db):
                Note.select().count()
        except DatabaseBusyError as error:
            refused.append(error.code)

    with transaction(db):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert refused == ["database.busy"]


def test_an_error_within_a_transaction_gives_the_connection_back_clean(postgres_db):
    def fail():
        with transaction(postgres_db):
            note()
            postgres_db.execute_sql("SELECT nonsense")

    for _ in range(3):
        with pytest.raises(peewee.ProgrammingError):
            fail()
    with transaction(postgres_db):
        assert Note.select().count() == 0


def test_the_end_of_a_session_between_two_queries_is_not_noticed_by_anybody(postgres_db, url):
    with unit_of_work(postgres_db):
        Note.select().count()
        end_sessions(url)
        assert Note.select().count() == 0
    end_sessions(url)
    transact(postgres_db)
    with unit_of_work(postgres_db):
        assert Note.select().count() == 1


def end_sessions(url):
    ended = sessions(url)
    assert ended
    with psycopg.connect(url, autocommit=True) as one:
        for pid in ended:
            one.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_the_end_of_a_session_within_a_transaction_takes_it_back_and_is_told(postgres_db, url):
    def write():
        with transaction(postgres_db):
            note()
            end_sessions(url)
            note()

    with pytest.raises(DatabaseLostError) as lost:
        write()
    assert lost.value.code == "database.lost"
    with transaction(postgres_db):
        assert Note.select().count() == 0


def test_a_session_that_ends_at_the_commit_is_told_and_nothing_hangs(postgres_db, url):
    def write():
        with transaction(postgres_db):
            note()
            end_sessions(url)

    with pytest.raises(DatabaseLostError):
        write()
    transact(postgres_db)


def test_a_transaction_that_was_forgotten_does_not_keep_the_lock_for_ever(url, monkeypatch):
    monkeypatch.setattr("service.db.engine.postgres.IDLE_IN_TRANSACTION_S", 0.2)
    forgetful = opened(url)
    monkeypatch.undo()
    db = opened(url)

    def forget():
        with transaction(forgetful):
            forgetful.execute_sql("INSERT INTO note (at) VALUES (1)")
            transact(db)  # waits for the lock, and gets it when the server has ended the other's session
            forgetful.execute_sql("SELECT 1")

    with pytest.raises(DatabaseLostError):
        forget()
    with unit_of_work(db):
        assert Note.select().count() == 1


def test_a_server_that_is_away_is_told_and_one_that_is_back_is_used():
    with server(synchronous_commit="on") as one:
        url = one.new()
        db = opened(url)
        for how in (signal.SIGQUIT, signal.SIGINT):
            one.stop(how)
            with pytest.raises(DatabaseLostError) as lost:
                transact(db)
            with pytest.raises(DatabaseLostError):
                Version(db).now()
            assert lost.value.code == "database.lost"
            one.start()
            transact(db)
        with unit_of_work(db):
            assert Note.select().count() == 2
