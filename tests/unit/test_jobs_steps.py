"""What a job does with its steps under a set clock: done once, kept over a crash, gone on with by who knows them."""

from datetime import timedelta

import pytest

from service.jobs import queue
from service.jobs.errors import LostLeaseError
from service.jobs.job_tables import Job, JobStep
from storage.refs import VolumeRef
from tests.unit.jobs_steps import Crash, no_run, work
from tests.worlds.jobs import make


def test_results_of_done_steps_are_kept_over_a_crash_with_their_types(job_world):
    seen = []

    def run(job_world, job):
        ref = job.step("clone", lambda: (job_world.note("clone"), VolumeRef("vms", "vm-1"))[1])
        pair = job.step("pair", lambda: (1, "a"))
        seen.append((ref, pair))
        if len(seen) == 1:
            raise Crash
        job.finish_with({"volume": ref})

    job = job_world.enqueue("job")
    work(job_world, run)
    work(job_world, run)
    assert seen == [(VolumeRef("vms", "vm-1"), (1, "a"))] * 2
    assert job_world.journal == ["clone"]
    view = job_world.view(job)
    assert (view.state, view.attempts, view.result) == ("succeeded", 2, {"volume": VolumeRef("vms", "vm-1")})
    assert [phase.name for phase in view.phases] == ["clone", "pair"]
    assert all(phase.ms is not None for phase in view.phases)
    assert (view.progress, view.phase) == (1.0, "")


def test_a_step_with_a_result_that_cannot_be_kept_fails_the_job(job_world):
    job = job_world.enqueue("job")
    work(job_world, lambda job_world, job: job.step("a", object))
    assert (job_world.view(job).state, job_world.view(job).error_code) == ("failed", "internal")


def test_two_steps_of_one_name_are_a_fault(job_world):
    def run(job_world, job):
        job.step("a", lambda: 1)
        job.step("a", lambda: 2)

    job = job_world.enqueue("job")
    work(job_world, run)
    assert job_world.view(job).error_code == "internal"


def test_a_write_and_its_record_are_one(job_world):
    def write():
        JobStep.create(job=job_world.job, name="other", position=9, started_at=job_world.clock.now())
        if job_world.crash:
            job_world.crash = False
            raise Crash

    job_world.job, job_world.crash = job_world.enqueue("job"), True
    work(job_world, lambda job_world, job: job.write("allocate", write))
    assert job_world.view(job_world.job).phases == ()
    work(job_world, lambda job_world, job: job.write("allocate", write))
    assert [phase.name for phase in job_world.view(job_world.job).phases] == ["allocate", "other"]


def test_a_job_that_waits_starts_again_at_its_time_and_skips_what_is_done(job_world):
    def run(job_world, job):
        job.step("make", make, job_world, "a")
        if job_world.clock.elapsed_s < 60:
            job.wait("the image is being imported", job_world.clock.now() + timedelta(seconds=60))

    job = job_world.enqueue("job")
    work(job_world, run)
    assert (job_world.view(job).state, job_world.view(job).reason) == ("waiting", "the image is being imported")
    job_world.clock.elapsed_s += 60
    work(job_world, run)
    assert job_world.view(job).state == "succeeded"
    assert job_world.journal == ["make a"]


@pytest.mark.parametrize("began", [False, True])
def test_a_job_of_steps_that_this_code_does_not_know_is_taken_back(job_world, began):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, job_world, "a")
            raise Crash

    job = job_world.enqueue("job")
    if began:
        work(job_world, run)
    work(job_world, no_run, version=2)
    assert (job_world.view(job).state, job_world.view(job).error_code) == ("failed", "job.code_version")
    assert job_world.things == []


def test_code_that_knows_older_steps_goes_on_with_them(job_world):
    job = job_world.enqueue("job", code_version=1)
    work(job_world, lambda job_world, job: job.step("make", make, job_world, "a"), version=2, also=(1,))
    assert job_world.view(job).state == "succeeded"


def test_past_the_point_of_no_return_an_unknown_version_waits_for_code_that_knows_it(job_world):
    def run(job_world, job):
        job.point_of_no_return()
        if job.attempts == 1:
            raise Crash
        job.step("make", make, job_world, "a")

    job = job_world.enqueue("job")
    work(job_world, run)
    work(job_world, no_run, version=2)
    view = job_world.view(job)
    assert view.state == "waiting"
    assert view.reason.startswith("job.code_version")
    queue.wake(job_world, job)
    work(job_world, run)
    assert (job_world.view(job).state, job_world.things) == ("succeeded", ["a"])


def test_a_stopping_worker_puts_the_job_back_at_the_step_boundary(job_world):
    def run(job_world, job):
        job.step("make_a", make, job_world, "a")
        job.step("make_b", make, job_world, "b")

    job = job_world.enqueue("job")
    work(job_world, run, stop=True)
    assert (job_world.view(job).state, job_world.things) == ("queued", [])
    work(job_world, run)
    assert (job_world.view(job).state, job_world.journal) == ("succeeded", ["make a", "make b"])


def test_a_worker_that_lost_its_lease_writes_nothing_more(job_world):
    def run(job_world, job):
        job.step("make_a", make, job_world, "a")
        if job.attempts == 1:
            job_world.clock.elapsed_s += 100
            work(job_world, run, worker_id="w2")
        for write in (
            lambda: job.step("make_b", make, job_world, "b"),
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

    job = job_world.enqueue("job")
    work(job_world, run)
    assert (job_world.view(job).state, job_world.view(job).attempts) == ("succeeded", 2)
    assert job_world.journal == ["make a", "make a"]  # its end was not written down yet: done again, by name


def test_progress_is_written_at_first_at_the_end_and_twice_a_second(job_world):
    shown = []

    def run(job_world, job):
        for fraction in (0.1, 0.2, 0.3, 1.0):
            job.progress(fraction, f"{fraction:.0%}")
            shown.append(job_world.view(job.id).progress_text)
            job_world.clock.elapsed_s += 0.3

    job_world.enqueue("job")
    work(job_world, run)
    assert shown == ["10%", "10%", "30%", "100%"]
