"""What the tests of jobs and workers share: a context on a real database, a settable clock, a few operations."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from service.db.engine.database import Database, bind, open_database, transaction, unit_of_work
from service.db.engine.migrate import migrate
from service.db.tables import contract
from service.errors import ConflictError
from service.jobs import queue
from service.jobs.bell import MemoryBell
from service.jobs.job_tables import TABLES
from service.jobs.new_bell import new_bell
from service.jobs.operation import Operation
from service.jobs.postgres_bell import PostgresBell
from service.jobs.views import JobView, job_view
from service.world import Bell, Clock, Ids, SystemClock, SystemIds, SystemThreads, Threads
from storage.errors import BusyError

START = datetime(2030, 1, 1, tzinfo=UTC)


class SetClock:
    """A clock that moves when told to, or when somebody waits."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.elapsed_s += timeout_s
        return event.is_set()


@dataclass
class World:
    """A context without storage and hypervisors; `folder` is where the operations leave their traces."""

    folder: Path
    clock: Clock
    db: Database
    bell: Bell
    ids: Ids = field(default_factory=SystemIds)
    threads: Threads = field(default_factory=SystemThreads)
    random: Random = field(default_factory=lambda: Random(1))

    def close(self) -> None:
        """Hear nothing more, where hearing takes a connection."""
        if isinstance(self.bell, PostgresBell):
            self.bell.close()

    @property
    def journal(self) -> list[str]:
        """Every effect that ever happened, in order."""
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def note(self, line: str) -> None:
        """Add one line at once, also with several processes."""
        fd = os.open(self.folder / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{line}\n".encode())
        os.close(fd)

    def thing(self, name: str) -> Path:
        return self.folder / f"thing-{name}"

    @property
    def things(self) -> list[str]:
        return sorted(path.name.removeprefix("thing-") for path in self.folder.glob("thing-*"))

    def enqueue(self, kind: str, **more) -> str:
        with transaction(self.db):
            return queue.enqueue(self, kind, actor="tester", request_id="r1", **{"code_version": 1, **more})

    def view(self, job_id: str) -> JobView:
        with unit_of_work(self.db):
            return job_view(job_id)


def open_world(folder: Path, url: str = "", *, clock: Clock | None = None, db: Database | None = None) -> World:
    """With a clock given: one process under that clock. Without: the real clock, and a bell between processes."""
    db = db or open_database(url or f"sqlite:///{folder / 'nacre.db'}")
    bind(db, (*TABLES, *contract.TABLES))
    migrate(db)
    if clock is not None:
        return World(folder, clock, db, MemoryBell(clock))
    real = {"clock": SystemClock(), "ids": SystemIds(), "threads": SystemThreads()}
    return World(folder, db=db, bell=new_bell(db, folder / "bell", **real), **real)


def make(world: World, name: str) -> str:
    """Idempotent by name."""
    world.note(f"make {name}")
    world.thing(name).touch()
    return name


def remove(world: World, name: str) -> None:
    """Silent when there is nothing. Fails for as long as a file `busy` is there."""
    if (world.folder / "busy").exists():
        raise BusyError(f"{name} is still open")
    world.note(f"remove {name}")
    world.thing(name).unlink(missing_ok=True)


def gate(world: World) -> str:
    """Block until somebody opens the pipe for writing and closes it again: what they wrote is the result."""
    with (world.folder / "gate").open() as pipe:
        return pipe.read()


def run_note(world, job) -> None:
    job.step("note", world.note, f"job {job.args['n']}")


def run_make(world, job) -> None:
    """Two things with a gate between; what comes through the gate says how to go on."""
    with job.undo() as undo:
        undo.push("remove", "a")
        made = job.step("make_a", make, world, "a")
        word = job.step("gate", gate, world)
        undo.push("remove", "b")
        job.step("make_b", make, world, "b")
        if word == "fail":
            raise ConflictError("no room", code="test.no_room")
    job.finish_with({"made": made})


OPERATIONS = {
    "note": Operation("note", run_note, 1),
    "make": Operation("make", run_make, 1, undo={"remove": remove}),
}


def worker_process(folder: Path, worker_id: str, url: str) -> None:
    """`python -m tests.worlds.jobs FOLDER WORKER_ID URL`: a worker like the real one, on the operations above."""
    from service.worker.loop import Worker
    from service.worker.process import run_process

    world = open_world(folder, url)
    worker = Worker(world, OPERATIONS, worker_id=worker_id, slots=4)
    run_process(world, worker, worker_id=worker_id, state_dir=folder)


if __name__ == "__main__":
    worker_process(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
