"""One worker in this thread: what tests of a job's steps, undo and end run it with."""

import pytest

from service.jobs.operation import Operation
from service.worker.loop import Worker
from tests.worlds.jobs import remove


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
