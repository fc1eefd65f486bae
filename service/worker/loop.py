"""The worker: claims jobs when the bell rings and runs each in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from service.context import Context
from service.db.engine.database import unit_of_work
from service.db.engine.errors import DatabaseUnavailableError
from service.jobs import queue
from service.jobs.job_context import QUEUE
from service.jobs.operation import Operation
from service.jobs.queue import Lease
from service.worker.notify import ALIVE, READY
from service.worker.runner import Runner
from service.worker.schedule import Schedule
from service.world import Listener

log = structlog.get_logger(__name__)
POLL_S = 30.0  # only for a ring that was lost because its process was killed before it
AFTER_FAULT_S = 1.0
HEARTBEATS_PER_LEASE = 3


class Worker:
    """Worker that runs at most `slots` jobs at a time, plus periodic ones.

    Periodic jobs (at most one per kind) take no slot, so observation continues however busy the worker is.
    `worker_id` is unique among the workers of one database.
    """

    def __init__(
        self,
        ctx: Context,
        operations: Mapping[str, Operation],
        *,
        worker_id: str,
        slots: int = 8,
        schedule: Schedule | None = None,
        lease_s: float = 15.0,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ctx = ctx
        self._operations = operations
        self._id = worker_id
        self._slots = slots
        self._schedule = schedule or Schedule()
        self._schedule_due: datetime | None = ctx.clock.now()
        self._ticked_at: datetime = ctx.clock.now()
        self._lease_s = lease_s
        self._notify = notify
        self._lock = threading.Lock()
        self._active: dict[str, Lease] = {}
        self._idle = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._listener: Listener | None = None

    def run(self, *, grace_s: float = 20.0) -> None:
        """Run until stop(); then wait up to `grace_s` for jobs to reach a step boundary.

        A job that has not by then keeps its lease: the next process with this worker id requeues it at once.
        """
        self._ctx.threads.start(f"{self._id}-heartbeat", self._beat)
        with self._ctx.bell.listen(QUEUE) as self._listener, unit_of_work(self._ctx.db):
            while not self._stopping.is_set():
                self._turn(self._listener)
        if not self._check_idle():
            self._ctx.clock.wait(self._idle, grace_s)
        self._ended.set()

    def stop(self) -> None:
        """Claim no more; running jobs return to the queue at their next step boundary."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.ring()

    def release_leases(self) -> int:
        """Requeue the jobs of an exited process with this worker id; return their number.

        Only with the proof that it has exited.
        """
        return queue.release_all(self._ctx, self._id)

    def tick(self) -> None:
        """Enqueue due periodic jobs."""
        now = self._ctx.clock.now()
        set_back, self._ticked_at = now < self._ticked_at, now
        if self._schedule_due is not None and (set_back or now >= self._schedule_due):
            self._schedule_due = self._schedule.tick(self._ctx, now)

    def run_next(self) -> bool:
        """Claim one job and run it in this thread; False when there is none."""
        with unit_of_work(self._ctx.db):
            lease = self._claim()
            if lease is not None:
                self._runner(lease).run()
        return lease is not None

    def _turn(self, listener: Listener) -> None:
        try:
            self._notify(ALIVE)
            self.tick()
            if self._fill():
                self._notify(READY)
                listener.wait(self._pause_s())
        except DatabaseUnavailableError as error:
            log.warning("worker.no_database", worker=self._id, code=error.code, detail=error.detail)
            self._ctx.clock.wait(self._stopping, AFTER_FAULT_S)
        except Exception:
            log.exception("worker.fault", worker=self._id)
            self._ctx.clock.wait(self._stopping, AFTER_FAULT_S)

    def _fill(self) -> bool:
        """Start a job in every free slot; return True if none is left to do now."""
        while not self._stopping.is_set():
            lease = self._claim()
            if lease is None:
                break
            self._start(lease)
        return not self._stopping.is_set()

    def _claim(self) -> Lease | None:
        kinds = self._wanted_kinds()
        return queue.claim(self._ctx, self._id, kinds, lease_s=self._lease_s, running=self._running())

    def _wanted_kinds(self) -> frozenset[str]:
        """Return all kinds while a slot is free, otherwise only the schedule's."""
        rounds = self._schedule.kinds & self._operations.keys()
        with self._lock:
            taken = sum(lease.kind not in rounds for lease in self._active.values())
        return frozenset(self._operations) if taken < self._slots else rounds

    def _start(self, lease: Lease) -> None:
        with self._lock:
            self._active[lease.job_id] = lease
        self._ctx.threads.start(f"{self._id}-{lease.kind}", lambda: self._work(lease))

    def _work(self, lease: Lease) -> None:
        try:
            with unit_of_work(self._ctx.db):
                self._runner(lease).run()
        except DatabaseUnavailableError as error:
            log.warning("job.interrupted", job_id=lease.job_id, job_kind=lease.kind, code=error.code)
        except Exception:
            log.exception("job.fault", job_id=lease.job_id, job_kind=lease.kind)
        finally:
            with self._lock:
                del self._active[lease.job_id]
            self._check_idle()
            if self._listener is not None:
                self._listener.ring()

    def _runner(self, lease: Lease) -> Runner:
        return Runner(self._ctx, self._operations[lease.kind], lease, self._stopping.is_set)

    def _check_idle(self) -> bool:
        """Return True, and set the idle event, if the worker has stopped and no job runs."""
        with self._lock:
            if self._stopping.is_set() and not self._active:
                self._idle.set()
        return self._idle.is_set()

    def _running(self) -> list[str]:
        with self._lock:
            return list(self._active)

    def _pause_s(self) -> float:
        """Return the seconds until a job, a lease or a period is due without a ring."""
        due = [queue.next_due(self._wanted_kinds(), self._running()), self._schedule_due]
        now = self._ctx.clock.now()
        seconds = [(moment - now).total_seconds() for moment in due if moment is not None]
        return max(0.0, min([POLL_S, *seconds]))

    def _beat(self) -> None:
        while not self._ctx.clock.wait(self._ended, self._lease_s / HEARTBEATS_PER_LEASE):
            with self._lock:
                leases = list(self._active.values())
            if leases:
                self._extend(leases)

    def _extend(self, leases: list[Lease]) -> None:
        try:
            queue.extend(self._ctx, leases, lease_s=self._lease_s)
        except Exception:
            log.exception("worker.heartbeat_failed", worker=self._id)
