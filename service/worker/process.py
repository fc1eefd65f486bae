"""The worker's process: proof that its predecessor has exited, end on a signal."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from service.context import Context
from service.errors import ConflictError
from service.worker.loop import Worker

log = structlog.get_logger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def only_process(state_dir: Path, worker_id: str) -> Iterator[None]:
    """Hold the worker id's lock file for the duration of the block.

    The kernel releases the lock with its process, so getting it proves that the last one has exited. Raises
    ConflictError when that process still runs.
    """
    fd = os.open(state_dir / f"worker-{worker_id}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConflictError(f"a worker {worker_id} runs already", code="worker.running") from error
        yield
    finally:
        os.close(fd)


def run_process(ctx: Context, worker: Worker, *, worker_id: str, state_dir: Path, grace_s: float = 20.0) -> None:
    """Run until SIGTERM or SIGINT. For the main thread only. Raises ConflictError."""
    with only_process(state_dir, worker_id):
        released = worker.release_leases()
        log.info("worker.started", worker=worker_id, resumed=released)
        ended = threading.Event()
        ctx.threads.start(worker_id, lambda: _run(worker, ended, grace_s))
        wait_for_signal()
        worker.stop()
        log.info("worker.stopping", worker=worker_id, grace_s=grace_s)
        ctx.clock.wait(ended, grace_s + 10.0)
        log.info("worker.stopped", worker=worker_id)


def wait_for_signal() -> None:
    """Wait for the first SIGTERM or SIGINT.

    The handler only writes a byte: locks are not safe in it.
    """
    reader, writer = os.pipe()
    before = {number: signal.signal(number, lambda *_: _write(writer)) for number in SIGNALS}
    try:
        os.read(reader, 1)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _write(fd: int) -> None:
    os.write(fd, b"\0")


def _run(worker: Worker, ended: threading.Event, grace_s: float) -> None:
    try:
        worker.run(grace_s=grace_s)
    finally:
        ended.set()
