"""A wish to end a job, under a set clock: heard at its steps' borders, and until the point of no return."""

import pytest

from service.errors import ConflictError, UnavailableError
from service.jobs import queue
from tests.unit.jobs_steps import Crash, no_run, work
from tests.worlds.jobs import make


def test_a_cancelled_queued_job_takes_back_what_its_request_claimed(job_world):
    make(job_world, "row")
    job = job_world.enqueue("job", undo=[("remove", "row")])
    queue.cancel(job_world, job)
    work(job_world, no_run)
    assert (job_world.view(job).state, job_world.view(job).error_code) == ("cancelled", "job.cancelled")
    assert job_world.things == []


def test_a_running_job_is_cancelled_before_its_next_step(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make_a", make, job_world, "a")
            queue.cancel(job_world, job.id)
            job.step("make_b", make, job_world, "b")

    job = job_world.enqueue("job")
    work(job_world, run)
    assert job_world.view(job).state == "cancelled"
    assert job_world.journal == ["make a", "remove a"]


def test_a_long_step_can_look_for_cancel_itself(job_world):
    def long(job):
        job.check_cancelled()
        queue.cancel(job_world, job.id)
        job.check_cancelled()
        pytest.fail("went on")

    job = job_world.enqueue("job")
    work(job_world, lambda job_world, job: job.step("long", long, job))
    assert job_world.view(job).state == "cancelled"


def test_a_step_that_a_crash_cut_off_is_finished_before_cancel_is_heard(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            job_world.note(job.step("make_a", maybe_crash))
            undo.push("remove", "a")
            job.step("make_b", make, job_world, "b")

    def maybe_crash():
        make(job_world, "a")
        if len(job_world.journal) == 1:
            raise Crash
        return "made"

    job = job_world.enqueue("job")
    work(job_world, run)
    queue.cancel(job_world, job)
    work(job_world, run)
    assert job_world.view(job).state == "cancelled"
    assert job_world.journal == ["make a", "make a", "made", "remove a"]
    assert job_world.things == []


def test_past_the_point_of_no_return_cancel_is_refused_and_nothing_is_taken_back(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, job_world, "a")
            job.point_of_no_return()
            undo.push("remove", "b")
            with pytest.raises(ConflictError) as refused:
                queue.cancel(job_world, job.id)
            assert refused.value.code == "job.past_no_return"
            raise ConflictError("broken", code="test.broken")

    job = job_world.enqueue("job")
    work(job_world, run)
    assert (job_world.view(job).state, job_world.view(job).error_code) == ("failed", "test.broken")
    assert job_world.things == ["a"]


def test_past_the_point_of_no_return_the_job_rolls_forward_through_outages(job_world):
    def flaky():
        if job_world.clock.elapsed_s < 3:
            raise UnavailableError("host2 is unreachable", code="host.unreachable")

    def run(job_world, job):
        job.step("make", make, job_world, "a")
        job.point_of_no_return()
        job.step("flaky", flaky)

    job = job_world.enqueue("job")
    work(job_world, run)
    assert (job_world.view(job).state, job_world.view(job).reason) == (
        "waiting",
        "host.unreachable: host2 is unreachable",
    )
    for _ in range(3):
        job_world.clock.elapsed_s += 2
        work(job_world, run)
    assert job_world.view(job).state == "succeeded"
    assert job_world.journal == ["make a"]


def test_a_wish_to_cancel_comes_before_the_point_of_no_return_or_not_at_all(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, job_world, "a")
            queue.cancel(job_world, job.id)
            job.point_of_no_return()
            pytest.fail("passed it")

    job = job_world.enqueue("job")
    work(job_world, run)
    assert (job_world.view(job).state, job_world.things) == ("cancelled", [])


def test_a_waiting_job_is_cancelled_without_running_on(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, job_world, "a")
            job.wait("nothing", None)

    job = job_world.enqueue("job")
    work(job_world, run)
    queue.cancel(job_world, job)
    work(job_world, no_run)
    assert (job_world.view(job).state, job_world.things) == ("cancelled", [])
