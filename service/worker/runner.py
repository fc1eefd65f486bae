"""Execution of one claimed job, to its end or to its next wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from service.context import Context
from service.db.engine.database import transaction, unit_of_work
from service.db.engine.errors import DatabaseUnavailableError
from service.jobs import leased_writes
from service.jobs.codec import decode
from service.jobs.errors import Cancelled, LostLeaseError, Released, Wait, code_and_detail, is_expected, is_transient
from service.jobs.job import Job
from service.jobs.job_tables import Job as Row
from service.jobs.job_tables import JobUndo
from service.jobs.operation import Operation
from service.jobs.queue import Lease

log = structlog.get_logger(__name__)
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
CODE_VERSION_RETRY_S = 300.0


def backoff(failures: int) -> timedelta:
    """Return the pause after that many consecutive failures (1, 2, …).

    It doubles from FIRST_RETRY_S to LAST_RETRY_S.
    """
    return timedelta(seconds=min(FIRST_RETRY_S * 2 ** min(failures - 1, 16), LAST_RETRY_S))


@dataclass(frozen=True, slots=True)
class Runner:
    """Runner of one job in this thread, inside a unit of work.

    A lost lease ends it with a warning in the log and nothing written.
    """

    ctx: Context
    operation: Operation
    lease: Lease
    stopping: Callable[[], bool]

    def run(self) -> None:
        """Run the job forward, or undo it. Raises only errors of the database itself."""
        with structlog.contextvars.bound_contextvars(job_id=self.lease.job_id, job_kind=self.lease.kind):
            try:
                row = self._row()
                with structlog.contextvars.bound_contextvars(request_id=row.request_id):
                    self._go(row)
            except LostLeaseError as lost:
                log.warning("job.lost", reason=str(lost))

    def _go(self, row: Row) -> None:
        if row.outcome is not None:
            self._undo()
        elif not self.operation.knows(row.code_version):
            self._unknown_version(row)
        else:
            self._forward(row)

    def _forward(self, row: Row) -> None:
        verbs = self.operation.undo.keys()
        job = Job(self.ctx, self.lease, row, undo_verbs=verbs, stopping=self.stopping)
        if row.cancel_requested and not job.in_flight:
            error: Exception | None = Cancelled()
        else:
            error = self._error_of(partial(self.operation.run, self.ctx, job))
        if error is None:
            self._succeed(job)
        else:
            if not isinstance(error, LostLeaseError):
                job.write_ended_steps()
            self._stopped_by(error)

    def _succeed(self, job: Job) -> None:
        if not job.succeeded:
            with transaction(self.ctx.db):
                job.write_ended_steps()
                leased_writes.succeed(self.ctx, self.lease, job.result)

    def _stopped_by(self, error: Exception) -> None:
        if isinstance(error, LostLeaseError):
            raise error
        if isinstance(error, Released):
            leased_writes.release(self.ctx, self.lease)
        elif isinstance(error, Wait):
            leased_writes.park(self.ctx, self.lease, error.reason, error.wake_at, failures=0)
        elif isinstance(error, Cancelled):
            self._back_out("cancelled", "job.cancelled", "cancelled on request")
        else:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        code, detail = code_and_detail(error)
        committed = self._row().committed
        if committed and is_transient(error):
            self._retry_later(f"{code}: {detail}")
            return
        fault = None if is_expected(error) else error
        log.error("job.failed", code=code, detail=detail, exc_info=fault)
        if committed:
            leased_writes.end(self.ctx, self.lease, "failed", error_code=code, error_detail=detail)
        else:
            self._back_out("failed", code, detail)

    def _unknown_version(self, row: Row) -> None:
        detail = f"{row.kind} was begun by steps version {row.code_version}, which this version cannot resume"
        if row.committed:  # past its point of no return: only code that knows the steps may end it
            again = self.ctx.clock.now() + timedelta(seconds=CODE_VERSION_RETRY_S)
            leased_writes.park(self.ctx, self.lease, f"job.code_version: {detail}", again, failures=0)
        else:
            self._back_out("failed", "job.code_version", detail)

    def _back_out(self, outcome: str, code: str, detail: str) -> None:
        leased_writes.begin_undo(self.ctx, self.lease, outcome, code, detail)
        self._undo()

    def _undo(self) -> None:
        todo = JobUndo.select().where(JobUndo.job == self.lease.job_id, JobUndo.done_at.is_null())
        for entry in list(todo.order_by(JobUndo.position.desc())):
            if self.stopping():
                leased_writes.release(self.ctx, self.lease)
                return
            error = self._error_of(partial(self._take_back, entry))
            if error is not None:
                self._undo_failed(entry.verb, error)
                return
            leased_writes.mark_undone(self.ctx, self.lease, entry)
        leased_writes.end(self.ctx, self.lease, str(self._row().outcome))

    def _take_back(self, entry: JobUndo) -> None:
        self.operation.undo[entry.verb](self.ctx, *decode(entry.args))

    def _undo_failed(self, verb: str, error: Exception) -> None:
        code, detail = code_and_detail(error)
        if not is_expected(error):
            log.error("job.undo_failed", verb=verb, exc_info=error)
        self._retry_later(f"undo {verb}: {code}: {detail}")

    def _retry_later(self, reason: str) -> None:
        failures = self._row().failures + 1
        log.info("job.retry", reason=reason, failures=failures)
        leased_writes.park(self.ctx, self.lease, reason, self.ctx.clock.now() + backoff(failures), failures=failures)

    def _row(self) -> Row:
        row = Row.get_or_none(Row.id == self.lease.job_id, Row.term == self.lease.term, Row.state == "running")
        if row is None:
            raise LostLeaseError(f"job {self.lease.job_id}: term {self.lease.term} is over")
        return row

    def _error_of(self, call: Callable[[], None]) -> Exception | None:
        """Call an operation's code and return what it raised, or None.

        An unreachable database is raised, since it is no outcome of the job: as after a crash, the job is resumed when
        its lease expires.
        """
        try:
            with unit_of_work(self.ctx.db):
                call()
        except DatabaseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - Runner decides on every outcome of an operation's code
            return error
        return None
