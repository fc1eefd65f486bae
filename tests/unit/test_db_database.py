import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.db import database
from service.db.database import (
    BaseModel,
    DatabaseBusyError,
    JsonField,
    UtcField,
    bind,
    open_database,
    transaction,
    unit_of_work,
)
from service.errors import InvalidError


class Note(BaseModel):
    at = UtcField()
    data = JsonField(null=True)


@pytest.fixture
def db(tmp_path):
    db = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    bind(db, [Note])
    with transaction(db):
        db.create_tables([Note])
    return db


@given(at=st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_to_the_microsecond(at):
    field = Note.at
    assert field.python_value(field.db_value(at)) == at


def test_an_instant_of_another_zone_is_the_same_instant(db):
    at = datetime(2030, 6, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    with transaction(db):
        Note.create(at=at)
        assert Note.get(Note.at == at).at == datetime(2030, 6, 1, 7, tzinfo=UTC)


def test_a_time_without_a_zone_is_refused(db):
    with pytest.raises(ValueError, match="no time zone"), transaction(db):
        Note.create(at=datetime(2030, 1, 1))


def test_equal_data_is_equal_text():
    assert Note.data.db_value({"b": 1, "a": [None, True]}) == Note.data.db_value({"a": [None, True], "b": 1})


def test_the_file_is_durable_and_keeps_its_references(db):
    with unit_of_work(db):
        values = [db.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        assert values == ["wal", 2]
        assert db.execute_sql("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_query_outside_a_unit_of_work_is_refused(db):
    with pytest.raises(peewee.InterfaceError):
        list(Note.select())


def test_the_connection_is_closed_at_the_end_of_the_outermost_unit(db):
    with unit_of_work(db):
        with transaction(db), unit_of_work(db):
            Note.create(at=datetime.now(UTC))
        assert not db.is_closed()
    assert db.is_closed()


def test_an_inner_transaction_falls_with_the_outer_one(db):
    def write_and_fail():
        with transaction(db):
            with transaction(db):
                Note.create(at=datetime.now(UTC))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with unit_of_work(db):
        assert Note.select().count() == 0


def test_what_is_to_happen_after_the_commit_does_not_after_a_rollback(db):
    happened = []
    with transaction(db):
        db.after_commit(lambda: happened.append(db.in_transaction()))

    def fail():
        with transaction(db):
            db.after_commit(lambda: happened.append("never"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert happened == [False]


def test_a_transaction_holds_the_write_lock_from_its_first_line(db, tmp_path):
    with transaction(db):
        other = sqlite3.connect(tmp_path / "a.db", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def test_a_lock_that_is_not_to_be_had_is_said_and_nothing_is_written(db, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    impatient = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    with transaction(db), pytest.raises(DatabaseBusyError), transaction(impatient):
        pytest.fail("got the lock twice")


def test_threads_that_write_at_once_all_get_their_turn(db):
    def write():
        for _ in range(20):
            with transaction(db):
                Note.create(at=datetime.now(UTC))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with unit_of_work(db):
        assert Note.select().count() == 80


@pytest.mark.parametrize("url", ["", "mysql://x/y", "sqlite://", "sqlite:///", "sqlite://host/path"])
def test_a_url_that_names_no_file_is_refused(url):
    with pytest.raises(InvalidError, match="sqlite:////absolute"):
        open_database(url)
