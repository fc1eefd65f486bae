"""Measurements on either database: kept for a while, rolled up, forgotten; never another object's."""

import math
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from service.db import measurements
from service.db.engine.database import transaction, unit_of_work
from service.db.measurements import HOSTS, HOUR_S, KEPT, RAW_S, ROLLED_S, VMS, Measure
from service.db.measurements.tables import PART, Block, LastMeasure, Shape, Tracked
from service.hypervisor.values import DomainStatistics
from tests.worlds.jobs import START

PLAIN = DomainStatistics("vm", "web", "running", cpu_time_s=0.0, vcpu_times_s=(), memory=None, disks=(), nics=())
NOTHING = (math.nan,) * 5


@pytest.fixture
def metrics_db(new_database):
    db = measurements.open_measurements(new_database("metrics"))
    measurements.prepare(db)
    measurements.prepare(db)
    return db


def after(seconds):
    return START + timedelta(seconds=seconds)


def write(db, seconds, *, tidy=True, **cpu):
    """Hosts and the CPU that they used, at a moment."""
    with transaction(db):
        measurements.write(HOSTS, after(seconds), {name: (value, *NOTHING) for name, value in cpu.items()})
        if tidy:
            measurements.tidy(after(seconds))


def read(db, host, *, step_s, since=-1, until=500 * 86400):
    """Second → CPU."""
    with unit_of_work(db):
        points = measurements.points(HOSTS, host, after(since), after(until), step_s=step_s)
    return {
        (at - START).total_seconds(): round(float(row[0]), 4)
        for at, row in zip(points.times, points.values, strict=True)
    }


def test_old_samples_are_rolled_up_and_older_ones_forgotten(metrics_db):
    def at(seconds):
        with transaction(metrics_db):
            one = Measure("vm", "project", "web", "host1", after(seconds), replace(PLAIN, cpu_time_s=seconds / 2))
            measurements.record([one], after(seconds))
            measurements.tidy(after(seconds))

    for seconds in range(0, 1201, 15):
        at(seconds)
    with unit_of_work(metrics_db):
        rolled = measurements.points(VMS, "vm", START, after(9999), step_s=ROLLED_S)
        assert [(at - START).total_seconds() for at in rolled.times] == [300, 600, 900, 1200]
        assert set(rolled.values[:, 0]) == {0.5}
    at((KEPT[RAW_S] + timedelta(hours=1)).total_seconds())
    with unit_of_work(metrics_db):
        assert min(row.at for row in Block.select().where(Block.step_s == RAW_S)) > after(3600)
        assert len(measurements.points(VMS, "vm", START, after(9999), step_s=ROLLED_S).times) == 4
        assert len(measurements.points(VMS, "vm", START, after(9999), step_s=HOUR_S).times) == 1
    at((KEPT[ROLLED_S] + timedelta(days=1)).total_seconds())
    with unit_of_work(metrics_db):
        assert min(row.at for row in Block.select().where(Block.step_s == ROLLED_S)) > after(20 * 3600)
        assert len(measurements.points(VMS, "vm", START, after(9999), step_s=HOUR_S).times) == 1


def test_a_year_of_a_host_is_a_bounded_number_of_steps(metrics_db):
    """An hour's step goes on for 400 days; everything else is gone by then."""
    with transaction(metrics_db):
        for hour in range(0, 401 * 24, 96):
            measurements.write(HOSTS, after(hour * 3600 + 15), {"a": (0.5, *NOTHING)})
    write(metrics_db, 401 * 86400, a=0.5)
    with unit_of_work(metrics_db):
        assert Block.select().where(Block.step_s == RAW_S).count() == 1
        assert Block.select().where(Block.step_s == ROLLED_S).count() <= 14 * 24 * 12
        assert Block.select().where(Block.step_s == HOUR_S).count() == 100 + 1
    assert set(read(metrics_db, "a", step_s=HOUR_S).values()) == {0.5}


def test_a_vm_that_moved_begins_anew(metrics_db):
    for number, (host, cpu_time_s) in enumerate((("host1", 10.0), ("host2", 20.0), ("host2", 35.0))):
        now = after(15 * number)
        with transaction(metrics_db):
            used = measurements.record(
                [Measure("vm", "p", "web", host, now, replace(PLAIN, cpu_time_s=cpu_time_s))], now
            )
        assert used == ({"host2": 1.0} if number == 2 else {})
    with unit_of_work(metrics_db):
        assert measurements.points(VMS, "vm", START, after(99), step_s=RAW_S).values[:, 0].tolist() == [1.0]
        assert [(row.name, row.host) for row in measurements.latest(START)] == [("web", "host2")]


def test_a_step_is_the_mean_of_what_is_known_in_it(metrics_db):
    write(metrics_db, 15, a=0.1, b=0.5)
    write(metrics_db, 30, a=0.3)
    write(metrics_db, 45, b=math.nan, c=0.9)
    write(metrics_db, 315, a=0.0)
    assert [read(metrics_db, name, step_s=ROLLED_S) for name in "abc"] == [{300: 0.2}, {300: 0.5}, {300: 0.9}]
    assert read(metrics_db, "b", step_s=RAW_S) == {15: 0.5}
    assert read(metrics_db, "nobody", step_s=RAW_S) == {}


def test_what_a_pause_left_behind_is_rolled_up_later(metrics_db):
    write(metrics_db, 15, a=0.2, tidy=False)
    write(metrics_db, 615, a=0.4, tidy=False)
    write(metrics_db, 3700, a=0.6)
    write(metrics_db, 3715, a=0.6)
    assert read(metrics_db, "a", step_s=ROLLED_S) == {300: 0.2, 900: 0.4}
    assert read(metrics_db, "a", step_s=HOUR_S) == {3600: 0.3}


def test_a_place_that_another_had_tells_nothing_of_the_other(metrics_db):
    write(metrics_db, 15, a=0.1, b=0.1)
    write(metrics_db, 345, a=0.1, b=0.1)
    with transaction(metrics_db):
        measurements.forget(HOSTS, ["b"])
    write(metrics_db, 405, b=0.5, c=0.9)
    write(metrics_db, 900, c=0.9)
    write(metrics_db, 915, c=0.9)
    with unit_of_work(metrics_db):
        assert {row.object_id: row.place for row in Tracked.select()} == {"b": 1, "c": 0}
        seen = measurements.sheet(HOSTS, "cpu", after(0), after(999), step_s=ROLLED_S)
        by_id = dict(zip(seen.ids, seen.values, strict=True))
    assert read(metrics_db, "c", step_s=RAW_S) == {405: 0.9, 900: 0.9, 915: 0.9}
    assert read(metrics_db, "c", step_s=ROLLED_S) == {900: 0.9}  # the step to 600 was begun by the other
    assert [math.isnan(value) for value in by_id["c"]] == [True, True, False]
    assert [round(float(value), 4) for value in by_id["b"][:2]] == [0.1, 0.3]
    assert read(metrics_db, "a", step_s=RAW_S) == {}


def test_all_objects_are_read_at_once_whatever_block_they_are_in(metrics_db):
    names = [f"host-{number}" for number in range(2 * PART + 3)]
    write(metrics_db, 15, **{name: number / 1000 for number, name in enumerate(names)})
    write(metrics_db, 30, **{names[-1]: 0.75})
    with unit_of_work(metrics_db):
        assert Block.select().count() == 4
        seen = measurements.sheet(HOSTS, "cpu", after(0), after(99), step_s=RAW_S)
    assert [(at - START).total_seconds() for at in seen.times] == [15, 30]
    rows = dict(zip(seen.ids, seen.values.tolist(), strict=True))
    assert rows[names[300]][0] == pytest.approx(0.3)
    assert math.isnan(rows[names[300]][1])
    assert rows[names[-1]] == [pytest.approx(0.514), 0.75]


def test_numbers_lie_on_a_grid_with_gaps(metrics_db):
    write(metrics_db, 3700, a=0.5)
    write(metrics_db, 3 * 3600 + 20, a=0.7)
    write(metrics_db, 4 * 3600 + 20, a=0.1)
    with unit_of_work(metrics_db):
        seen = measurements.sheet(HOSTS, "cpu", START, after(5 * 3600), step_s=HOUR_S)
    grid = measurements.gridded(seen.times, seen.values, after(5 * 3600 + 1), steps=4, step_s=HOUR_S)
    assert [None if math.isnan(value) else round(value, 2) for value in grid[0]] == [0.5, None, 0.7, None]


def test_a_number_that_an_earlier_version_did_not_keep_is_no_data(metrics_db):
    write(metrics_db, 15, a=0.5)
    with transaction(metrics_db):
        Block.update(names="cpu,ceph_cpu", row_bytes=8, cells=b"\0\0\0?\0\0\x80>").execute()
    with unit_of_work(metrics_db):
        points = measurements.points(HOSTS, "a", START, after(99), step_s=RAW_S)
    assert points.values[0, :2].tolist() == [0.5, 0.25]
    assert all(map(math.isnan, points.values[0, 2:]))


def test_tables_of_another_shape_are_thrown_away(metrics_db):
    write(metrics_db, 15, a=0.5)
    with transaction(metrics_db):
        Shape.update(number=Shape.number - 1).execute()
        metrics_db.execute_sql("CREATE TABLE sample (vm_id VARCHAR(36))")
    measurements.prepare(metrics_db)
    with unit_of_work(metrics_db):
        assert "sample" not in metrics_db.get_tables()
        assert Block.select().count() == LastMeasure.select().count() == 0
        assert Shape.select().count() == 1


def test_a_round_that_dies_leaves_the_one_before(metrics_db):
    write(metrics_db, 15, a=0.5)

    def die():
        with transaction(metrics_db):
            measurements.write(HOSTS, after(30), {"a": (0.7, *NOTHING), "b": (0.7, *NOTHING)})
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        die()
    assert read(metrics_db, "a", step_s=RAW_S) == {15: 0.5}
    with unit_of_work(metrics_db):
        assert [row.object_id for row in Tracked.select()] == ["a"]


def test_what_workers_count_is_kept_until_they_fall_silent(metrics_db):
    with transaction(metrics_db):
        measurements.keep_meters("w", START, [["one"]])
        measurements.keep_meters("w", after(15), [["two"]])
    with unit_of_work(metrics_db):
        assert measurements.kept_meters(START) == {"w": [["two"]]}
        assert measurements.kept_meters(after(16)) == {}
    with transaction(metrics_db):
        measurements.tidy(after(900))
    with unit_of_work(metrics_db):
        assert measurements.kept_meters(START) == {}


MORTAL = """
import math, sys
from datetime import timedelta
from service.db import measurements
from service.db.engine.database import transaction
from service.db.measurements import HOSTS
from tests.worlds.jobs import START
db = measurements.open_measurements(sys.argv[1])
measurements.prepare(db)
for number in range(1, 100_000):
    now = START + timedelta(seconds=15 * number)
    with transaction(db):
        measurements.write(HOSTS, now, {f"host{one}": (number / 1e6, *[math.nan] * 5) for one in range(300)})
        measurements.tidy(now)
    print(number, flush=True)
"""


def test_a_killed_process_leaves_whole_rounds_and_the_next_one_goes_on(tmp_path):
    url = f"sqlite:///{tmp_path / 'metrics.db'}"
    with subprocess.Popen([sys.executable, "-c", MORTAL, url], stdout=subprocess.PIPE, text=True) as mortal:
        told = [int(mortal.stdout.readline()) for _ in range(45)]
        mortal.kill()
    db = measurements.open_measurements(url)
    measurements.prepare(db)
    rounds = [read(db, f"host{one}", step_s=RAW_S) for one in (0, 299)]
    assert rounds[0] == rounds[1]
    assert list(rounds[0]) == [15 * number for number in range(1, len(rounds[0]) + 1)]
    assert len(rounds[0]) >= told[-1]
    assert list(read(db, "host7", step_s=ROLLED_S))[:2] == [300, 600]
    write(db, 15 * (len(rounds[0]) + 1), host0=0.5)
    assert len(read(db, "host0", step_s=RAW_S)) == len(rounds[0]) + 1
