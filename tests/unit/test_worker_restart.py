"""The database server restarts while workers are at work: jobs go on, and each thing is done once."""

import os
import signal
import threading
from contextlib import contextmanager

import pytest

from service.jobs.views import wait_finished
from service.worker.loop import Worker
from tests.postgres import server
from tests.worlds.jobs import OPERATIONS, open_world

GENEROUS_S = 60.0
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def lasting_postgres():
    with server(synchronous_commit="on") as one:
        yield one


@pytest.fixture
def restarting_world(tmp_path, lasting_postgres):
    os.mkfifo(tmp_path / "gate")
    world = open_world(tmp_path, lasting_postgres.new())
    yield world
    world.close()


@contextmanager
def working(world, **options):
    worker = Worker(world, OPERATIONS, worker_id="w1", **options)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()


def test_a_restart_in_the_middle_of_a_step_is_not_noticed_by_the_job(restarting_world, lasting_postgres):
    with working(restarting_world):
        job = restarting_world.enqueue("make")
        with (restarting_world.folder / "gate").open("w") as gate:
            lasting_postgres.stop(signal.SIGINT)
            lasting_postgres.start()
            gate.write("on")
        view = wait_finished(restarting_world, job, GENEROUS_S)
    assert (view.state, view.attempts) == ("succeeded", 1)
    assert restarting_world.journal == ["make a", "make b"]


def test_a_job_whose_step_ends_while_the_server_is_away_goes_on_when_its_lease_is_over(
    restarting_world, lasting_postgres
):
    with working(restarting_world, lease_s=3.0):
        job = restarting_world.enqueue("make")
        with (restarting_world.folder / "gate").open("w") as gate:
            lasting_postgres.stop(signal.SIGQUIT)
            gate.write("on")
        restarting_world.clock.wait(threading.Event(), 1.5)  # the worker looks for the database meanwhile, in vain
        lasting_postgres.start()
        with (restarting_world.folder / "gate").open("w") as gate:  # what the step said before nobody could write down
            gate.write("on")
        view = wait_finished(restarting_world, job, GENEROUS_S)
    assert (view.state, view.attempts, view.result) == ("succeeded", 2, {"made": "a"})
    assert restarting_world.journal == ["make a", "make b"]


def test_a_worker_hears_of_new_jobs_after_a_restart(restarting_world, lasting_postgres):
    with working(restarting_world):
        for number in range(2):
            job = restarting_world.enqueue("note", args={"n": number})
            assert wait_finished(restarting_world, job, GENEROUS_S).state == "succeeded"
            lasting_postgres.stop(signal.SIGINT)
            lasting_postgres.start()
        job = restarting_world.enqueue("note", args={"n": 2})
        assert wait_finished(restarting_world, job, GENEROUS_S).state == "succeeded"
    assert restarting_world.journal == ["job 0", "job 1", "job 2"]
