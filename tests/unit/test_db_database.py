import os
import threading
from datetime import UTC, datetime, timedelta, timezone

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.db.engine.database import (
    BaseModel,
    DatabaseBusyError,
    JsonField,
    UtcField,
    bind,
    open_database,
    transaction,
    unit_of_work,
)
from service.db.engine.version import Version
from service.errors import InvalidError


class Note(BaseModel):
    at = UtcField()
    data = JsonField(null=True)


@pytest.fixture
def url(new_database):
    return new_database("a")


@pytest.fixture
def notes_db(url):
    db = open_database(url)
    bind(db, [Note])
    with transaction(db):
        db.create_tables([Note])
    return db


@given(at=st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_to_the_microsecond(at):
    field = Note.at
    assert field.python_value(field.db_value(at)) == at


def test_an_instant_of_another_zone_is_the_same_instant(notes_db):
    at = datetime(2030, 6, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    with transaction(notes_db):
        Note.create(at=at)
        assert Note.get(Note.at == at).at == datetime(2030, 6, 1, 7, tzinfo=UTC)


def test_a_time_without_a_zone_is_refused(notes_db):
    with pytest.raises(ValueError, match="no time zone"), transaction(notes_db):
        Note.create(at=datetime(2030, 1, 1))


def test_equal_data_is_equal_text():
    assert Note.data.db_value({"b": 1, "a": [None, True]}) == Note.data.db_value({"a": [None, True], "b": 1})


def test_a_query_outside_a_unit_of_work_is_refused(notes_db):
    with pytest.raises(peewee.InterfaceError):
        list(Note.select())


def test_the_connection_is_closed_at_the_end_of_the_outermost_unit(notes_db):
    with unit_of_work(notes_db):
        with transaction(notes_db), unit_of_work(notes_db):
            Note.create(at=datetime.now(UTC))
        assert not notes_db.is_closed()
    assert notes_db.is_closed()


def test_an_inner_transaction_falls_with_the_outer_one(notes_db):
    def write_and_fail():
        with transaction(notes_db):
            with transaction(notes_db):
                Note.create(at=datetime.now(UTC))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with unit_of_work(notes_db):
        assert Note.select().count() == 0


def test_what_is_to_happen_after_the_commit_does_not_after_a_rollback(notes_db):
    happened = []
    with transaction(notes_db):
        notes_db.after_commit(lambda: happened.append(notes_db.in_transaction()))

    def fail():
        with transaction(notes_db):
            notes_db.after_commit(lambda: happened.append("never"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert happened == [False]


def test_a_transaction_holds_the_write_lock_from_its_first_line(notes_db, url):
    other = open_database(url, busy_timeout_s=0.1)
    with transaction(notes_db), pytest.raises(DatabaseBusyError), transaction(other):
        pytest.fail("got the lock twice")


def test_who_was_refused_the_lock_gets_it_when_it_is_free(notes_db, url):
    other = open_database(url, busy_timeout_s=0.1)
    with transaction(notes_db), pytest.raises(DatabaseBusyError), transaction(other):
        pytest.fail("got the lock twice")
    with transaction(other):
        notes_db.bind([Note])
    with transaction(notes_db):
        Note.create(at=datetime.now(UTC))


def test_what_a_transaction_reads_is_all_that_was_committed_before_it_got_the_lock(notes_db):
    """Twenty threads read, then write one more than they read: none of them overwrites another's."""
    with transaction(notes_db):
        Note.create(at=datetime.now(UTC), data=0)

    def add_one():
        for _ in range(10):
            with transaction(notes_db):
                Note.update(data=Note.get().data + 1).execute()

    at_once(20, add_one)
    with unit_of_work(notes_db):
        assert Note.get().data == 200


def test_threads_that_write_at_once_all_get_their_turn(notes_db):
    def write():
        for _ in range(20):
            with transaction(notes_db):
                Note.create(at=datetime.now(UTC))

    at_once(4, write)
    with unit_of_work(notes_db):
        assert Note.select().count() == 80


def test_a_transaction_that_a_crash_cut_off_leaves_no_lock_and_no_rows(notes_db, url):
    with unit_of_work(notes_db):
        cut_off = notes_db.transaction()
        cut_off.__enter__()
        Note.create(at=datetime.now(UTC))
        notes_db._state.transactions.clear()  # as if the process had died: nobody ends it
    other = open_database(url, busy_timeout_s=30)
    with transaction(other):
        other.bind([Note])
        assert Note.select().count() == 0


def test_a_reader_does_not_wait_for_a_writer(notes_db, url):
    other = open_database(url, busy_timeout_s=30)
    with transaction(notes_db):
        Note.create(at=datetime.now(UTC))
        with unit_of_work(other):
            assert other.execute_sql("SELECT count(*) FROM note").fetchone()[0] == 0


def test_a_query_that_was_not_read_to_its_end_does_not_hold_an_old_sight(notes_db):
    with transaction(notes_db):
        Note.insert_many([{"at": datetime.now(UTC)} for _ in range(500)]).execute()
    with unit_of_work(notes_db):
        half_read = Note.select(Note.id).tuples().iterator()
        next(half_read)
    with transaction(notes_db):
        Note.delete().execute()
    with unit_of_work(notes_db):
        assert Note.select().count() == 0


def test_a_child_process_gets_no_connection_of_its_parent(notes_db):
    with transaction(notes_db):
        Note.create(at=datetime.now(UTC))
    child = os.fork()
    if child == 0:
        with transaction(notes_db):
            Note.create(at=datetime.now(UTC))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with transaction(notes_db):
        Note.create(at=datetime.now(UTC))
        assert Note.select().count() == 3


def test_the_version_is_the_same_until_somebody_commits(notes_db, url):
    version, other = Version(notes_db), open_database(url)
    before = version.now()
    with unit_of_work(notes_db):
        Note.select().count()
    with pytest.raises(KeyError), transaction(notes_db):
        raise KeyError
    for writer in (notes_db, other):
        assert version.now() == before
        with transaction(writer):
            writer.execute_sql("INSERT INTO note (at) VALUES (1)")
            assert version.now() == before or writer is not other
        assert version.now() != before
        before = version.now()


@pytest.mark.parametrize("url", ["", "mysql://x/y", "sqlite://", "sqlite:///", "sqlite://host/path"])
def test_a_url_that_names_no_file_is_refused(url):
    with pytest.raises(InvalidError, match="sqlite:////absolute"):
        open_database(url)


@pytest.mark.parametrize("url", ["postgresql://ann:hunter2@db/nacre", "postgresql://db/nacre?password=hunter2"])
def test_a_url_with_a_password_is_refused_and_not_told(url):
    with pytest.raises(InvalidError, match="passfile") as refused:
        open_database(url)
    assert "hunter2" not in str(refused.value)


def test_a_url_that_libpq_does_not_understand_is_refused():
    with pytest.raises(InvalidError, match="nonsense"):
        open_database("postgresql://db/nacre?nonsense=1")


def at_once(count, work):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
