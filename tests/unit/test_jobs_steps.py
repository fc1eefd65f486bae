"""One worker in this thread under a set clock: what a job does with its steps, its undo list and wishes to end."""

from datetime import timedelta

import pytest

from service.db.database import transaction
from service.errors import ConflictError, UnavailableError
from service.jobs import queue
from service.jobs.errors import LostLeaseError
from service.jobs.job_tables import Job, JobStep, JobUndo
from service.jobs.operation import Operation
from service.worker.loop import Worker
from service.worker.runner import LAST_RETRY_S, backoff
from storage.refs import VolumeRef
from tests.unit.jobs_world import SetClock, make, open_world, remove


@pytest.fixture
def world(tmp_path, database):
    return open_world(tmp_path, database, clock=SetClock())


class Crash(BaseException):
    """The process dies here."""


def work(world, run, *, version=1, also=(), undo=None, worker_id="w1", stop=False):
    """Run what is claimable now with this code; a crash ends the worker."""
    verbs = {"remove": remove} if undo is None else undo
    operation = Operation("job", run, version, undo=verbs, also_resumes=also)
    worker = Worker(world, {"job": operation}, worker_id=worker_id)
    if stop:
        worker.stop()
    try:
        worker.run_next()
    except Crash:
        worker.release_leases()


def no_run(world, job):
    pytest.fail("run() was called")


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


def test_a_failed_job_takes_back_newest_first_and_keeps_its_code(world):
    def run(world, job):
        with job.undo() as undo:
            for name in "abc":
                undo.push("remove", name)
                job.step(f"make_{name}", make, world, name)
            raise ConflictError("no room on any host", code="placement.nothing_fits")

    job = world.enqueue("job", undo=[("remove", "row")])
    work(world, run)
    view = world.view(job)
    assert (view.state, view.error_code, view.error_detail) == (
        "failed",
        "placement.nothing_fits",
        "no room on any host",
    )
    assert world.journal == ["make a", "make b", "make c", "remove c", "remove b", "remove a", "remove row"]
    assert world.things == []


def test_an_unexpected_error_takes_back_too_and_tells_users_nothing_of_the_inside(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, world, "a")
            raise KeyError("secret")

    job = world.enqueue("job")
    work(world, run)
    assert (world.view(job).state, world.view(job).error_code) == ("failed", "internal")
    assert "secret" not in world.view(job).error_detail
    assert world.things == []


def test_pushing_again_on_resume_is_one_entry(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, world, "a")
            undo.push("remove", "b")
            if job.attempts == 1:
                raise Crash
            raise ConflictError("no")

    world.enqueue("job")
    work(world, run)
    work(world, run)
    assert world.journal == ["make a", "remove b", "remove a"]


def test_an_unknown_undo_verb_is_refused_when_it_is_pushed(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("explode", "a")

    job = world.enqueue("job")
    work(world, run)
    assert world.view(job).error_code == "internal"


def failing(world, job):
    with job.undo() as undo:
        undo.push("remove", "a")
        job.step("make", make, world, "a")
        raise ConflictError("no", code="test.no")


def test_an_undo_that_fails_waits_with_its_reason_and_is_tried_until_it_succeeds(world):
    (world.folder / "busy").touch()
    job = world.enqueue("job")
    work(world, failing)
    for attempt in range(1, 4):
        view = world.view(job)
        assert (view.state, view.outcome) == ("waiting", "failed")
        assert view.reason == "undo remove: storage.busy: a is still open"
        work(world, no_run)
        assert world.view(job).attempts == attempt
        world.clock.elapsed_s += backoff(attempt).total_seconds()
        if attempt == 3:
            (world.folder / "busy").unlink()
        work(world, no_run)
    assert (world.view(job).state, world.view(job).error_code) == ("failed", "test.no")
    assert world.things == []


def test_a_faulty_undo_is_never_given_up(world):
    job = world.enqueue("job")
    work(world, failing, undo={"remove": lambda world, name: [][0]})
    assert world.view(job).state == "waiting"
    world.clock.elapsed_s += 60
    work(world, no_run, undo={})
    assert world.view(job).state == "waiting"
    world.clock.elapsed_s += 60
    work(world, no_run)
    assert (world.view(job).state, world.things) == ("failed", [])


def test_the_backoff_doubles_up_to_its_end():
    assert [backoff(n).total_seconds() for n in (1, 2, 3, 100)] == [1.0, 2.0, 4.0, LAST_RETRY_S]


def test_a_crash_in_the_undo_goes_on_with_what_is_left(world):
    def crash_once(world, name):
        remove(world, name)
        if name == "b" and not world.crashed:
            world.crashed = True
            raise Crash

    def run(world, job):
        with job.undo() as undo:
            for name in "abc":
                undo.push("remove", name)
            raise ConflictError("no")

    world.crashed = False
    job = world.enqueue("job")
    work(world, run, undo={"remove": crash_once})
    work(world, no_run, undo={"remove": crash_once})
    assert world.journal == ["remove c", "remove b", "remove b", "remove a"]
    assert world.view(job).state == "failed"


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


def test_nothing_is_left_to_undo_when_a_job_succeeds(world):
    def run(world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, world, "a")

    job = world.enqueue("job", undo=[("remove", "row")])
    work(world, run)
    with transaction(world.db):
        assert JobUndo.select().where(JobUndo.job == job).count() == 0
    assert world.things == ["a"]
