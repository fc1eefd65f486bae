import threading
from datetime import timedelta

from service.db.engine.database import unit_of_work
from service.jobs.job_tables import Job
from service.jobs.operation import Operation
from service.jobs.queue import enqueue
from service.worker.loop import Worker
from service.worker.schedule import Periodic, Schedule
from tests.worlds.jobs import OPERATIONS, START, open_world

OBSERVE = Periodic("observe", interval_s=10, kind="note", code_version=1, args={"n": 7})


def worker(world, worker_id, *periodic, operations=OPERATIONS):
    return Worker(world, operations, worker_id=worker_id, schedule=Schedule(periodic))


def test_each_period_has_one_job_with_two_workers(job_world):
    workers = [worker(job_world, f"w{n}", OBSERVE) for n in (1, 2)]
    for second in range(61):
        job_world.clock.elapsed_s = second
        for one in workers:
            one.tick()
            one.run_next()
    with unit_of_work(job_world.db):
        made = [(job.created_at - START).total_seconds() for job in Job.select().order_by(Job.created_at)]
    assert made == [0, 10, 20, 30, 40, 50, 60]
    assert job_world.journal == ["job 7"] * 7


def test_a_tick_says_when_to_come_back(job_world):
    schedule = Schedule((OBSERVE, Periodic("hourly", interval_s=3600, kind="note", code_version=1)))
    assert schedule.tick(job_world, START + timedelta(seconds=3)) == START + timedelta(seconds=10)
    assert Schedule().tick(job_world, START) is None


def test_periods_that_nobody_ticked_are_not_made_up_for(job_world):
    one = worker(job_world, "w1", OBSERVE)
    one.tick()
    one.run_next()
    job_world.clock.elapsed_s = 1000
    one.tick()
    while one.run_next():
        pass
    assert len(job_world.journal) == 2


def test_a_period_is_skipped_while_the_last_job_is_unfinished(job_world):
    one = worker(job_world, "w1", OBSERVE)
    for second in (0, 10, 20):
        job_world.clock.elapsed_s = second
        one.tick()
    with unit_of_work(job_world.db):
        assert Job.select().count() == 1
    assert one.run_next()
    job_world.clock.elapsed_s = 30
    one.tick()
    with unit_of_work(job_world.db):
        assert Job.select().count() == 2


def test_a_restarted_worker_does_not_repeat_the_period(job_world):
    worker(job_world, "w1", OBSERVE).tick()
    job_world.clock.elapsed_s = 9
    worker(job_world, "w1", OBSERVE).tick()
    with unit_of_work(job_world.db):
        assert Job.select().count() == 1


def test_the_loop_itself_keeps_the_schedule(tmp_path, database):
    world = open_world(tmp_path, database)
    fast = Periodic("fast", interval_s=0.05, kind="count", code_version=1)

    def count(world, job):
        world.note("tick")
        if len(world.journal) == 5:
            one.stop()

    one = worker(world, "w1", fast, operations={"count": Operation("count", count, 1)})
    one.run()
    world.close()
    assert len(world.journal) == 5


def test_a_clock_that_is_set_back_does_not_stop_the_rounds(job_world):
    job_world.clock.elapsed_s = 3600
    one = worker(job_world, "w1", OBSERVE)
    one.tick()
    one.run_next()
    for second in range(0, 60, 5):
        job_world.clock.elapsed_s = second
        one.tick()
        one.run_next()
    assert len(job_world.journal) == 1 + 6


def test_rounds_go_on_while_every_slot_is_taken(tmp_path, database):
    world = open_world(tmp_path, database)
    fast = Periodic("fast", interval_s=0.05, kind="count", code_version=1)
    rounds_seen = threading.Event()

    def count(world, job):
        world.note("tick")
        if len(world.journal) >= 3:
            rounds_seen.set()

    def hold(world, job):
        assert rounds_seen.wait(60)
        one.stop()

    operations = {"count": Operation("count", count, 1), "hold": Operation("hold", hold, 1)}
    one = Worker(world, operations, worker_id="w1", slots=1, schedule=Schedule((fast,)))
    enqueue(world, "hold", actor="ann", request_id="r", code_version=1)
    one.run()
    world.close()
    assert rounds_seen.is_set()
