"""What a job that fails takes back, under a set clock: newest first, again and again until it is done."""

from service.db.engine.database import transaction
from service.errors import ConflictError
from service.jobs.job_tables import JobUndo
from service.worker.runner import LAST_RETRY_S, backoff
from tests.unit.jobs_steps import Crash, no_run, work
from tests.worlds.jobs import make, remove


def failing(world, job):
    with job.undo() as undo:
        undo.push("remove", "a")
        job.step("make", make, world, "a")
        raise ConflictError("no", code="test.no")


def test_a_failed_job_takes_back_newest_first_and_keeps_its_code(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            for name in "abc":
                undo.push("remove", name)
                job.step(f"make_{name}", make, job_world, name)
            raise ConflictError("no room on any host", code="placement.nothing_fits")

    job = job_world.enqueue("job", undo=[("remove", "row")])
    work(job_world, run)
    view = job_world.view(job)
    assert (view.state, view.error_code, view.error_detail) == (
        "failed",
        "placement.nothing_fits",
        "no room on any host",
    )
    assert job_world.journal == ["make a", "make b", "make c", "remove c", "remove b", "remove a", "remove row"]
    assert job_world.things == []


def test_an_unexpected_error_takes_back_too_and_tells_users_nothing_of_the_inside(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, job_world, "a")
            raise KeyError("secret")

    job = job_world.enqueue("job")
    work(job_world, run)
    assert (job_world.view(job).state, job_world.view(job).error_code) == ("failed", "internal")
    assert "secret" not in job_world.view(job).error_detail
    assert job_world.things == []


def test_pushing_again_on_resume_is_one_entry(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, job_world, "a")
            undo.push("remove", "b")
            if job.attempts == 1:
                raise Crash
            raise ConflictError("no")

    job_world.enqueue("job")
    work(job_world, run)
    work(job_world, run)
    assert job_world.journal == ["make a", "remove b", "remove a"]


def test_an_unknown_undo_verb_is_refused_when_it_is_pushed(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("explode", "a")

    job = job_world.enqueue("job")
    work(job_world, run)
    assert job_world.view(job).error_code == "internal"


def test_an_undo_that_fails_waits_with_its_reason_and_is_tried_until_it_succeeds(job_world):
    (job_world.folder / "busy").touch()
    job = job_world.enqueue("job")
    work(job_world, failing)
    for attempt in range(1, 4):
        view = job_world.view(job)
        assert (view.state, view.outcome) == ("waiting", "failed")
        assert view.reason == "undo remove: storage.busy: a is still open"
        work(job_world, no_run)
        assert job_world.view(job).attempts == attempt
        job_world.clock.elapsed_s += backoff(attempt).total_seconds()
        if attempt == 3:
            (job_world.folder / "busy").unlink()
        work(job_world, no_run)
    assert (job_world.view(job).state, job_world.view(job).error_code) == ("failed", "test.no")
    assert job_world.things == []


def test_a_faulty_undo_is_never_given_up(job_world):
    job = job_world.enqueue("job")
    work(job_world, failing, undo={"remove": lambda job_world, name: [][0]})
    assert job_world.view(job).state == "waiting"
    job_world.clock.elapsed_s += 60
    work(job_world, no_run, undo={})
    assert job_world.view(job).state == "waiting"
    job_world.clock.elapsed_s += 60
    work(job_world, no_run)
    assert (job_world.view(job).state, job_world.things) == ("failed", [])


def test_the_backoff_doubles_up_to_its_end():
    assert [backoff(n).total_seconds() for n in (1, 2, 3, 100)] == [1.0, 2.0, 4.0, LAST_RETRY_S]


def test_a_crash_in_the_undo_goes_on_with_what_is_left(job_world):
    def crash_once(job_world, name):
        remove(job_world, name)
        if name == "b" and not job_world.crashed:
            job_world.crashed = True
            raise Crash

    def run(job_world, job):
        with job.undo() as undo:
            for name in "abc":
                undo.push("remove", name)
            raise ConflictError("no")

    job_world.crashed = False
    job = job_world.enqueue("job")
    work(job_world, run, undo={"remove": crash_once})
    work(job_world, no_run, undo={"remove": crash_once})
    assert job_world.journal == ["remove c", "remove b", "remove b", "remove a"]
    assert job_world.view(job).state == "failed"


def test_nothing_is_left_to_undo_when_a_job_succeeds(job_world):
    def run(job_world, job):
        with job.undo() as undo:
            undo.push("remove", "a")
            job.step("make", make, job_world, "a")

    job = job_world.enqueue("job", undo=[("remove", "row")])
    work(job_world, run)
    with transaction(job_world.db):
        assert JobUndo.select().where(JobUndo.job == job).count() == 0
    assert job_world.things == ["a"]
