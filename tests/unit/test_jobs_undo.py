"""What a job that fails takes back, under a set clock: newest first, again and again until it is done."""

import pytest

from service.db.engine.database import transaction
from service.errors import ConflictError
from service.jobs.job_tables import JobUndo
from service.worker.runner import LAST_RETRY_S, backoff
from tests.unit.jobs_steps import Crash, no_run, work
from tests.unit.jobs_world import SetClock, make, open_world, remove


@pytest.fixture
def world(tmp_path, database):
    return open_world(tmp_path, database, clock=SetClock())


def failing(world, job):
    with job.undo() as undo:
        undo.push("remove", "a")
        job.step("make", make, world, "a")
        raise ConflictError("no", code="test.no")


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
