"""Events are read by position: nothing is missed, nothing comes twice, on either database."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from service.db import events
from service.db.engine.database import transaction, unit_of_work
from service.db.tables import Event

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WRITERS, EACH = 8, 20


def write(object_id, at=NOW, project_id=None):
    events.record(at, "test", object_kind="t", object_id=object_id, project_id=project_id, data={})


def write_and_fail(db):
    with transaction(db):
        write("b")
        raise ZeroDivisionError


def test_a_reader_beside_many_writers_misses_nothing(cloud_db):
    begun, ended, seen = threading.Barrier(WRITERS + 1), threading.Event(), []

    def writer(number):
        begun.wait()
        for count in range(EACH):
            with transaction(cloud_db):
                write(f"{number}-{count}-first")
                threading.Event().wait(0.001 * (number % 3))  # the id is drawn, the commit comes later
                write(f"{number}-{count}-second")

    def reader():
        position = 0
        begun.wait()
        while True:
            last = ended.is_set()
            with unit_of_work(cloud_db):
                found = events.after(position, limit=7, visible=None)
            seen.extend(event.object_id for event in found)
            position = found[-1].id if found else position
            if last and not found:
                return

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(WRITERS)]
    reading = threading.Thread(target=reader)
    for thread in (*threads, reading):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    reading.join()
    assert len(seen) == len(set(seen)) == WRITERS * EACH * 2
    pairs = [name.rsplit("-", 1)[0] for name in seen]
    assert pairs[::2] == pairs[1::2], "what one transaction wrote stands together"


def test_a_transaction_that_is_taken_back_leaves_no_event_and_no_hole_that_matters(cloud_db):
    with transaction(cloud_db):
        write("a")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(cloud_db)
    with transaction(cloud_db):
        write("c")
    with unit_of_work(cloud_db):
        assert [event.object_id for event in events.after(0, limit=9, visible=None)] == ["a", "c"]


def test_the_newest_event_outlives_every_purge_so_that_no_id_comes_twice(cloud_db):
    with transaction(cloud_db):
        for name in "abc":
            write(name)
    with transaction(cloud_db):
        newest = events.newest()
        events.purge(NOW + timedelta(days=1), keep_at_most=0)
    with transaction(cloud_db):
        assert events.bounds() == events.Bounds(newest, newest)
        write("d")
        assert events.newest() > newest


def test_a_purge_keeps_what_is_young_and_at_most_so_many(cloud_db):
    with transaction(cloud_db):
        for day in range(10):
            write(str(day), NOW + timedelta(days=day))
        events.purge(NOW + timedelta(days=3), keep_at_most=100)
        assert [event.object_id for event in Event.select().order_by(Event.id)] == list("3456789")
        events.purge(NOW, keep_at_most=2)
        assert [event.object_id for event in Event.select().order_by(Event.id)] == list("89")


def test_before_the_first_event_there_is_nothing(cloud_db):
    with transaction(cloud_db):
        assert events.bounds() == events.Bounds(0, 0)
        events.purge(NOW, keep_at_most=1)
        assert events.after(0, limit=1, visible=None) == []
