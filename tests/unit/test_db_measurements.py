"""Measurements on either database: kept for a while, rolled up, forgotten."""

from datetime import timedelta

import pytest

from service.db import measurements
from service.db.database import transaction, unit_of_work
from service.db.measurements import KEEP_RAW, KEEP_ROLLED, ROLLED_S, Measure, Sample
from tests.unit.jobs_world import START


@pytest.fixture
def db(new_database):
    db = measurements.open_measurements(new_database("metrics"))
    measurements.prepare(db)
    measurements.prepare(db)
    return db


def test_old_samples_are_rolled_up_and_older_ones_forgotten(db):
    began = START
    plain = {"memory": None, "disks": [], "nics": []}

    def at(seconds):
        now = began + timedelta(seconds=seconds)
        one = Measure("vm", "project", "web", "host1", now, plain | {"cpu_time_s": seconds / 2})
        with transaction(db):
            measurements.record([one])
            measurements.tidy(now)

    for seconds in range(0, 1201, 15):
        at(seconds)
    with unit_of_work(db):
        rolled = measurements.history("vm", began, step_s=ROLLED_S)
        assert [(row.at - began).total_seconds() for row in rolled] == [300, 600, 900, 1200]
        assert {row.cpu_milli for row in rolled} == {500}
    at((KEEP_RAW + timedelta(hours=1)).total_seconds())
    with unit_of_work(db):
        raw = Sample.select().where(Sample.step_s != ROLLED_S)
        assert min(row.at for row in raw) > began + timedelta(hours=1)
        assert len(measurements.history("vm", began, step_s=ROLLED_S)) >= 4
    at((KEEP_ROLLED + timedelta(days=1)).total_seconds())
    with unit_of_work(db):
        assert all(row.at > began + timedelta(hours=20) for row in Sample.select())


def test_a_vm_that_moved_begins_anew(db):
    plain = {"memory": None, "disks": [], "nics": []}
    for number, (host, cpu_time_s) in enumerate((("host1", 10.0), ("host2", 20.0), ("host2", 35.0))):
        now = START + timedelta(seconds=15 * number)
        with transaction(db):
            measurements.record([Measure("vm", "p", "web", host, now, plain | {"cpu_time_s": cpu_time_s})])
    with unit_of_work(db):
        assert [row.cpu_milli for row in Sample.select()] == [1000]
        assert [(row.name, row.host) for row in measurements.latest(START)] == [("web", "host2")]
