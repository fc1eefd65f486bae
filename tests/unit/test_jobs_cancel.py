"""A wish to end a job, under a set clock: heard at its steps' borders, and until the point of no return."""

import pytest

from service.errors import ConflictError, UnavailableError
from service.jobs import queue
from tests.unit.jobs_steps import Crash, no_run, work
from tests.unit.jobs_world import SetClock, make, open_world


@pytest.fixture
def world(tmp_path, database):
    return open_world(tmp_path, database, clock=SetClock())


def test_a_cancelled_queued_job_takes_back_what_its_request_claimed(world):
    make(world, "row")
    job = world.enqueue("job", undo=[("remove", "row")])
    queue.cancel(world, job)
    work(world, no_run)
    assert (world.view(job).state, world.view(job).error_code) == ("cancelled", "job.cancelled")
    assert world.things == []


def test_a_running_job_is_cancelled_before_its_next_step(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make_a", make, world, "a")
            queue.cancel(world, job.id)
            job.step("make_b", make, world, "b")

    job = world.enqueue("job")
    work(world, run)
    assert world.view(job).state == "cancelled"
    assert world.journal == ["make a", "remove a"]


def test_a_long_step_can_look_for_cancel_itself(world):
    def long(job):
        job.check_cancelled()
        queue.cancel(world, job.id)
        job.check_cancelled()
        pytest.fail("went on")

    job = world.enqueue("job")
    work(world, lambda world, job: job.step("long", long, job))
    assert world.view(job).state == "cancelled"


def test_a_step_that_a_crash_cut_off_is_finished_before_cancel_is_heard(world):
    def run(world, job):
        with job.undo() as undo:
            world.note(job.step("make_a", maybe_crash))
            undo.push("remove", "a")
            job.step("make_b", make, world, "b")

    def maybe_crash():
        make(world, "a")
        if len(world.journal) == 1:
            raise Crash
        return "made"

    job = world.enqueue("job")
    work(world, run)
    queue.cancel(world, job)
    work(world, run)
    assert world.view(job).state == "cancelled"
    assert world.journal == ["make a", "make a", "made", "remove a"]
    assert world.things == []


def test_past_the_point_of_no_return_cancel_is_refused_and_nothing_is_taken_back(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, world, "a")
            job.point_of_no_return()
            undo.push("remove", "b")
            with pytest.raises(ConflictError) as refused:
                queue.cancel(world, job.id)
            assert refused.value.code == "job.past_no_return"
            raise ConflictError("broken", code="test.broken")

    job = world.enqueue("job")
    work(world, run)
    assert (world.view(job).state, world.view(job).error_code) == ("failed", "test.broken")
    assert world.things == ["a"]


def test_past_the_point_of_no_return_the_job_rolls_forward_through_outages(world):
    def flaky():
        if world.clock.elapsed_s < 3:
            raise UnavailableError("host2 does not answer", code="host.unreachable")

    def run(world, job):
        job.step("make", make, world, "a")
        job.point_of_no_return()
        job.step("flaky", flaky)

    job = world.enqueue("job")
    work(world, run)
    assert (world.view(job).state, world.view(job).reason) == ("waiting", "host.unreachable: host2 does not answer")
    for _ in range(3):
        world.clock.elapsed_s += 2
        work(world, run)
    assert world.view(job).state == "succeeded"
    assert world.journal == ["make a"]


def test_a_wish_to_cancel_comes_before_the_point_of_no_return_or_not_at_all(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, world, "a")
            queue.cancel(world, job.id)
            job.point_of_no_return()
            pytest.fail("passed it")

    job = world.enqueue("job")
    work(world, run)
    assert (world.view(job).state, world.things) == ("cancelled", [])


def test_a_waiting_job_is_cancelled_without_running_on(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, world, "a")
            job.wait("nothing", None)

    job = world.enqueue("job")
    work(world, run)
    queue.cancel(world, job)
    work(world, no_run)
    assert (world.view(job).state, world.things) == ("cancelled", [])
