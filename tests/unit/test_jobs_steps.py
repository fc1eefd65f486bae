"""What a job does with its steps under a set clock: done once, kept over a crash, gone on with by who knows them."""

from datetime import timedelta

import pytest

from service.jobs import queue
from service.jobs.errors import LostLeaseError
from service.jobs.job_tables import Job, JobStep
from storage.refs import VolumeRef
from tests.unit.jobs_steps import Crash, no_run, work
from tests.unit.jobs_world import SetClock, make, open_world


@pytest.fixture
def world(tmp_path, database):
    return open_world(tmp_path, database, clock=SetClock())


def test_results_of_done_steps_are_kept_over_a_crash_with_their_types(world):
    seen = []

    def run(world, job):
        ref = job.step("clone", lambda: (world.note("clone"), VolumeRef("vms", "vm-1"))[1])
        pair = job.step("pair", lambda: (1, "a"))
        seen.append((ref, pair))
        if len(seen) == 1:
            raise Crash
        job.finish_with({"volume": ref})

    job = world.enqueue("job")
    work(world, run)
    work(world, run)
    assert seen == [(VolumeRef("vms", "vm-1"), (1, "a"))] * 2
    assert world.journal == ["clone"]
    view = world.view(job)
    assert (view.state, view.attempts, view.result) == ("succeeded", 2, {"volume": VolumeRef("vms", "vm-1")})
    assert [phase.name for phase in view.phases] == ["clone", "pair"]
    assert all(phase.ms is not None for phase in view.phases)
    assert (view.progress, view.phase) == (1.0, "")


def test_a_step_with_a_result_that_cannot_be_kept_fails_the_job(world):
    job = world.enqueue("job")
    work(world, lambda world, job: job.step("a", object))
    assert (world.view(job).state, world.view(job).error_code) == ("failed", "internal")


def test_two_steps_of_one_name_are_a_fault(world):
    def run(world, job):
        job.step("a", lambda: 1)
        job.step("a", lambda: 2)

    job = world.enqueue("job")
    work(world, run)
    assert world.view(job).error_code == "internal"


def test_a_write_and_its_record_are_one(world):
    def write():
        JobStep.create(job=world.job, name="other", position=9, started_at=world.clock.now())
        if world.crash:
            world.crash = False
            raise Crash

    world.job, world.crash = world.enqueue("job"), True
    work(world, lambda world, job: job.write("allocate", write))
    assert world.view(world.job).phases == ()
    work(world, lambda world, job: job.write("allocate", write))
    assert [phase.name for phase in world.view(world.job).phases] == ["allocate", "other"]


def test_a_job_that_waits_starts_again_at_its_time_and_skips_what_is_done(world):
    def run(world, job):
        job.step("make", make, world, "a")
        if world.clock.elapsed_s < 60:
            job.wait("the image is being imported", world.clock.now() + timedelta(seconds=60))

    job = world.enqueue("job")
    work(world, run)
    assert (world.view(job).state, world.view(job).reason) == ("waiting", "the image is being imported")
    world.clock.elapsed_s += 60
    work(world, run)
    assert world.view(job).state == "succeeded"
    assert world.journal == ["make a"]


@pytest.mark.parametrize("began", [False, True])
def test_a_job_of_steps_that_this_code_does_not_know_is_taken_back(world, began):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, world, "a")
            raise Crash

    job = world.enqueue("job")
    if began:
        work(world, run)
    work(world, no_run, version=2)
    assert (world.view(job).state, world.view(job).error_code) == ("failed", "job.code_version")
    assert world.things == []


def test_code_that_knows_older_steps_goes_on_with_them(world):
    job = world.enqueue("job", code_version=1)
    work(world, lambda world, job: job.step("make", make, world, "a"), version=2, also=(1,))
    assert world.view(job).state == "succeeded"


def test_past_the_point_of_no_return_an_unknown_version_waits_for_code_that_knows_it(world):
    def run(world, job):
        job.point_of_no_return()
        if job.attempts == 1:
            raise Crash
        job.step("make", make, world, "a")

    job = world.enqueue("job")
    work(world, run)
    work(world, no_run, version=2)
    view = world.view(job)
    assert view.state == "waiting"
    assert view.reason.startswith("job.code_version")
    queue.wake(world, job)
    work(world, run)
    assert (world.view(job).state, world.things) == ("succeeded", ["a"])


def test_a_stopping_worker_puts_the_job_back_at_the_step_boundary(world):
    def run(world, job):
        job.step("make_a", make, world, "a")
        job.step("make_b", make, world, "b")

    job = world.enqueue("job")
    work(world, run, stop=True)
    assert (world.view(job).state, world.things) == ("queued", [])
    work(world, run)
    assert (world.view(job).state, world.journal) == ("succeeded", ["make a", "make b"])


def test_a_worker_that_lost_its_lease_writes_nothing_more(world):
    def run(world, job):
        job.step("make_a", make, world, "a")
        if job.attempts == 1:
            world.clock.elapsed_s += 100
            work(world, run, worker_id="w2")
        for write in (
            lambda: job.step("make_b", make, world, "b"),
            lambda: job.progress(1.0),
            lambda: job.point_of_no_return(),
            lambda: job.check_cancelled(),
            lambda: job.write("late", lambda: Job.delete().execute()),
        ):
            if job.attempts == 1:
                with pytest.raises(LostLeaseError):
                    write()
        if job.attempts == 1:
            with pytest.raises(LostLeaseError), job.transaction():
                pytest.fail("may write")

    job = world.enqueue("job")
    work(world, run)
    assert (world.view(job).state, world.view(job).attempts) == ("succeeded", 2)
    assert world.journal == ["make a", "make a"]  # its end was not written down yet: done again, by name


def test_progress_is_written_at_first_at_the_end_and_twice_a_second(world):
    shown = []

    def run(world, job):
        for fraction in (0.1, 0.2, 0.3, 1.0):
            job.progress(fraction, f"{fraction:.0%}")
            shown.append(world.view(job.id).progress_text)
            world.clock.elapsed_s += 0.3

    world.enqueue("job")
    work(world, run)
    assert shown == ["10%", "10%", "30%", "100%"]
