"""NOTIFY: with the commit or not at all, and nothing missed while the server is away."""

import signal
import threading

import pytest

from service.db.engine.database import open_database, transaction
from service.jobs.postgres_bell import PostgresBell
from service.world import SystemClock, SystemIds, SystemThreads
from tests.postgres import server
from tests.unit.test_jobs_bell import GENEROUS_S, listening

REAL = {"clock": SystemClock(), "ids": SystemIds(), "threads": SystemThreads()}


@pytest.fixture
def url(postgres):
    url = postgres.new()
    yield url
    postgres.drop(url)


@pytest.fixture
def here(url):
    yield from opened(url)


@pytest.fixture
def there(url):
    yield from opened(url)


def opened(url):
    bell = PostgresBell(open_database(url), **REAL)
    yield bell
    bell.close()


def listen(bell, *topics):
    """A listener whose bell hears by now."""
    listener = bell.listen(*topics)
    assert listener.wait(GENEROUS_S), "a bell that begins to hear says so"
    return listener


def test_a_ring_is_heard_with_its_commit_by_everybody(here, there):
    near, far = listen(here, "a"), listen(there, "a")
    with transaction(here._db):
        here.ring_at_commit(here._db, "a")
        assert not near.wait(0)
        assert not far.wait(0.2)
    assert near.wait(0)
    assert far.wait(GENEROUS_S)


def test_a_ring_of_a_transaction_that_is_rolled_back_is_never_heard(here, there):
    def fail():
        with transaction(here._db):
            here.ring_at_commit(here._db, "a")
            raise KeyError

    near, far = listen(here, "a"), listen(there, "a", "b")
    with pytest.raises(KeyError):
        fail()
    assert not near.wait(0)
    here.ring("b")
    assert far.wait(GENEROUS_S)
    assert not far.wait(0)


def test_a_ring_inside_a_transaction_takes_no_second_connection(url):
    bell = PostgresBell(open_database(url, connections=1, busy_timeout_s=GENEROUS_S), **REAL)
    with transaction(bell._db):
        bell.ring("a")
        assert bell._db.in_transaction()


def test_ones_own_ring_is_heard_once(here):
    listener = listen(here, "a")
    here.ring("a")
    assert listener.wait(0)
    assert not listener.wait(0.3)


def test_a_ring_reaches_another_process(tmp_path, url, here):
    processes = listening(tmp_path, url)
    process = next(processes)
    assert process.stdout.readline() == "rung\n"  # it hears by now
    here.ring("b", "a")
    assert process.stdout.readline() == "rung\n"
    processes.close()


def test_after_the_server_was_away_everybody_is_told_to_look():
    with server() as one:
        bell = PostgresBell(open_database(one.new()), **REAL)
        listener = listen(bell, "a")
        one.stop(signal.SIGQUIT)
        bell.ring("a")  # nobody can be told, and nothing raises
        assert listener.wait(0)
        one.start()
        assert listener.wait(GENEROUS_S)
        bell.ring("a")
        assert listener.wait(GENEROUS_S)
        bell.close()


def test_a_closed_bell_leaves_no_thread_and_no_connection(url, postgres):
    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "bell"]

    before = threads()
    bell = PostgresBell(open_database(url), **REAL)
    listen(bell, "a")
    (reader,) = set(threads()) - set(before)
    bell.close()
    reader.join(GENEROUS_S)
    assert not reader.is_alive()
    postgres.do("SELECT 1")
