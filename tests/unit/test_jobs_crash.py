"""Crashes between any two writes: every job ends done or fully undone, once."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.db.engine.database import unit_of_work
from service.errors import ConflictError
from service.jobs import queue
from service.jobs.job_tables import JobStep, JobUndo
from service.jobs.operation import Operation
from service.worker.loop import Worker
from storage.errors import BusyError
from tests.mortal import Crash, Doom, mortal
from tests.worlds.jobs import SetClock, open_world

NAMES = ("a", "b", "c")
MOST_TURNS = 200
LEASE_S = 15.0


class Cloud:
    """What is outside the database and survives crashes: things, and how often each verb really did something."""

    def __init__(self, doom: Doom, busy: int) -> None:
        self.doom = doom
        self.things: set[str] = set()
        self.made: list[str] = []
        self.busy = busy

    def make(self, name: str) -> str:
        self.doom.moment()
        if name not in self.things:
            self.things.add(name)
            self.made.append(name)
        self.doom.moment()
        return name

    def remove(self, world, name: str) -> None:
        self.doom.moment()
        if self.busy:
            self.busy -= 1
            raise BusyError(f"{name} is open")
        self.things.discard(name)
        self.doom.moment()


def operation(cloud: Cloud, fails_after: int | None, no_return_after: int | None) -> Operation:
    def run(world, job):
        with job.undo() as undo:
            for number, name in enumerate(NAMES):
                undo.push("remove", name)
                assert job.step(f"make_{name}", cloud.make, name) == name
                if number == no_return_after:
                    job.point_of_no_return()
                if number == fails_after:
                    raise ConflictError("no", code="test.no")
            job.write("count", lambda: JobStep.select().count())

    return Operation("job", run, 1, undo={"remove": cloud.remove})


def survive(world, call) -> None:
    """Run it; a crash loses the connection and everything in memory."""
    try:
        call()
    except Crash:
        if not world.db.is_closed():
            world.db.close()


def turn(world, one: Operation, worker_id: str, proof_of_death: bool) -> None:
    worker = Worker(world, {"job": one}, worker_id=worker_id, lease_s=LEASE_S)
    if proof_of_death:
        survive(world, worker.release_leases)
    survive(world, worker.run_next)


LIVES = {
    "crashes": st.lists(st.integers(1, 30), max_size=6),
    "fails_after": st.none() | st.integers(0, 2),
    "no_return_after": st.none() | st.integers(0, 2),
    "busy": st.integers(0, 3),
    "cancel_at": st.none() | st.integers(0, 6),
    "same_worker": st.booleans(),
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(**LIVES)
def test_whatever_crashes_a_job_ends_done_or_fully_undone(sqlite_schema, **life):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(sqlite_schema, f"{folder}/a.db")
        live(folder, f"sqlite:///{folder}/a.db", **life)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(**LIVES)
def test_the_same_on_postgresql(postgres, postgres_schema, **life):
    url = postgres.new(postgres_schema)
    with tempfile.TemporaryDirectory() as folder:
        live(folder, url, **life)
    postgres.drop(url)


def live(folder, url, *, crashes, fails_after, no_return_after, busy, cancel_at, same_worker):
    doom = Doom()
    world = open_world(Path(folder), clock=SetClock(), db=mortal(url, doom))
    cloud = Cloud(doom, busy)
    cloud.things.add("row")
    job = world.enqueue("job", undo=[("remove", "row")])
    doom.countdown, doom.passed = list(crashes), 0
    one = operation(cloud, fails_after, no_return_after)
    for number in range(MOST_TURNS):
        if number == cancel_at and world.view(job).state not in ("succeeded", "failed", "cancelled"):
            survive(world, lambda: try_cancel(world, job))
        turn(world, one, "w1" if same_worker else f"w{number}", proof_of_death=same_worker)
        if world.view(job).finished:
            break
        world.clock.elapsed_s += LEASE_S
    check(world, cloud, job, fails_after, no_return_after)


def try_cancel(world, job) -> None:
    with suppress(ConflictError):  # past the point of no return
        queue.cancel(world, job)


def check(world, cloud, job, fails_after, no_return_after) -> None:
    view = world.view(job)
    assert view.finished
    with unit_of_work(world.db):
        left = JobUndo.select().where(JobUndo.job == job, JobUndo.done_at.is_null()).count()
    assert left == 0
    past = no_return_after is not None and (fails_after is None or no_return_after <= fails_after)
    if view.state == "succeeded":
        assert cloud.things == {"row", *NAMES}
        assert fails_after is None
    elif past and view.state == "failed":
        assert cloud.things == {"row", *NAMES[: fails_after + 1]}
    else:
        assert cloud.things == set()
    assert len(cloud.made) == len(set(cloud.made))
    for phase in view.phases:
        assert view.state != "succeeded" or phase.ms is not None
