"""The job as seen by an operation's run(): steps, undo entries, progress, waiting."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

from service.db.engine.database import transaction, unit_of_work
from service.db.engine.prepared import insert_all
from service.jobs import leased_writes
from service.jobs.codec import decode, encode
from service.jobs.errors import Cancelled, LostLeaseError, Released, Wait
from service.jobs.job_context import JobContext
from service.jobs.job_tables import Job as Row
from service.jobs.job_tables import JobStep, JobUndo
from service.jobs.queue import Lease
from service.json_types import Json, JsonObject

P = ParamSpec("P")
T = TypeVar("T")
PROGRESS_INTERVAL_S = 0.5


class Undo:
    """Persisted list of undo entries.

    Push an entry before the step that it undoes, so that a crash inside the step leaves nothing behind: undo verbs do
    nothing if there is nothing to undo.
    """

    def __init__(self, lease: Lease, verbs: Collection[str], held: Callable[[], AbstractContextManager[None]]) -> None:
        entries = JobUndo.select().where(JobUndo.job == lease.job_id)
        self._lease = lease
        self._held = held
        self._verbs = verbs
        self._known = [(entry.verb, entry.args) for entry in entries]
        self._unwritten: list[JsonObject] = []
        self.dropped = False

    def push(self, verb: str, *args: object) -> None:
        """Persist an entry, unless it exists (a resumed job) or the job is committed."""
        self.before_next_step(verb, *args)
        if self._unwritten:
            with self._held():
                pass

    def before_next_step(self, verb: str, *args: object) -> None:
        """Persist an entry in the transaction that begins the next step.

        Saves a transaction compared with push(); only for what that very step does.
        """
        if verb not in self._verbs:
            raise ValueError(f"the operation has no undo verb {verb!r}")
        entry = (verb, encode(list(args)))
        if self.dropped or entry in self._known:
            return
        row = {"job": self._lease.job_id, "position": len(self._known), "verb": verb, "args": entry[1]}
        self._unwritten.append(row)
        self._known.append(entry)

    def write(self) -> None:
        """Write the pending entries, inside a leased transaction."""
        insert_all(JobUndo, self._unwritten)
        self._unwritten.clear()

    def drop(self) -> None:
        """Delete all entries, inside a leased transaction."""
        JobUndo.delete().where(JobUndo.job == self._lease.job_id).execute()
        self._unwritten.clear()
        self.dropped = True


class Job:
    """One claimed job.

    Every method that writes raises LostLeaseError when another worker has the job.
    """

    def __init__(
        self, ctx: JobContext, lease: Lease, row: Row, *, undo_verbs: Collection[str], stopping: Callable[[], bool]
    ) -> None:
        self.id: str = row.id
        self.kind: str = row.kind
        self.object_kind: str = row.object_kind
        self.object_id: str = row.object_id
        self.actor: str = row.actor
        self.request_id: str = row.request_id
        self.term = lease.term
        self.attempts: int = row.attempts
        self.result: Any = None  # encoded
        self._ctx = ctx
        self._lease = lease
        self._args = row.args
        self._stopping = stopping
        self._steps = {step.name: step for step in JobStep.select().where(JobStep.job == row.id)}
        self._met: set[str] = set()
        self._ended: list[tuple[str, Json, datetime]] = []  # ended steps that are not persisted yet
        self.succeeded = False
        self._undo = Undo(lease, undo_verbs, self._held)
        self._undo.dropped = row.committed
        self._progress_at: float | None = None

    @property
    def args(self) -> JsonObject:
        """Arguments with which the job was enqueued."""
        return dict(decode(self._args))

    @property
    def committed(self) -> bool:
        """True if the job is past its point of no return."""
        return self._undo.dropped

    @property
    def in_flight(self) -> bool:
        """True if a step began in an earlier run and its outcome is unknown."""
        return any(step.finished_at is None for step in self._steps.values())

    def step(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the named step once; return its result, in a resumed job the stored one.

        After a crash inside the function it runs again: it is idempotent by name. The result is always
        decode(encode(result)), also the first time. Cancel and stop requests take effect before a new step.

        The result is persisted with the job's next write, usually the beginning of the next step: every transaction
        waits for the disk, and repeating an idempotent step after a crash costs less.
        """
        stored = self._stored_step(name)
        if stored is not None and stored.finished_at is not None:
            return cast(T, decode(stored.result))
        with self._held(phase=name):
            self._begin(name, stored)
        data = encode(function(*args, **kwargs))
        self._ended.append((name, data, self._ctx.clock.now()))
        return cast(T, decode(data))

    def write(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a step of database writes only, exactly once.

        Its writes and its record are one transaction.
        """
        stored = self._stored_step(name)
        if stored is not None and stored.finished_at is not None:
            return cast(T, decode(stored.result))
        with self._held(phase=name, failures=0):
            self._begin(name, stored)
            data = encode(function(*args, **kwargs))
            self._record(name, data, self._ctx.clock.now())
        return cast(T, decode(data))

    def write_last(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a write() step and end the job as succeeded: for the last line of run()."""
        with transaction(self._ctx.db):
            self.write(name, function, *args, **kwargs)
            leased_writes.succeed(self._ctx, self._lease, self.result)
        self.succeeded = True

    def transaction(self) -> AbstractContextManager[None]:
        """Begin a transaction that is refused when another worker has the job."""
        return self._held()

    def write_ended_steps(self, **changes: object) -> None:
        """Persist the results of ended steps. Raises LostLeaseError."""
        if self._ended:
            with self._held(**changes):
                pass

    @contextmanager
    def undo(self) -> Iterator[Undo]:
        """Give the undo list, valid until the job ends or passes its point of no return."""
        yield self._undo

    def point_of_no_return(self) -> None:
        """Drop the undo list: the job now only rolls forward, and cancel is refused.

        Raises Cancelled when that was requested before.
        """
        if self.committed:
            return
        with self._held(committed=True):
            self._check_cancel_and_stop()
            self._undo.drop()

    def progress(self, fraction: float, text: str = "") -> None:
        """Report progress, 0 to 1.

        Written the first time, at 1.0, and otherwise at most every PROGRESS_INTERVAL_S.
        """
        now = self._ctx.clock.monotonic()
        recent = self._progress_at is not None and now - self._progress_at < PROGRESS_INTERVAL_S
        if recent and fraction < 1.0:
            return
        self._progress_at = now
        with self._held(progress=min(max(fraction, 0.0), 1.0), progress_text=text):
            pass

    def wait(self, reason: str, wake_at: datetime | None) -> NoReturn:
        """Stop here until `wake_at` (None: until woken).

        run() then starts again and skips the steps that are done.
        """
        self.check_cancelled()
        raise Wait(reason, wake_at)

    def check_cancelled(self) -> None:
        """Raise Cancelled if cancellation was requested. For the inside of a long step."""
        with unit_of_work(self._ctx.db):
            row = Row.get_or_none(Row.id == self.id, Row.term == self.term, Row.state == "running")
        if row is None:
            raise LostLeaseError(f"job {self.id}: term {self.term} is over")
        if row.cancel_requested:  # never both: past the point of no return cancel is refused
            raise Cancelled

    def finish_with(self, result: object) -> None:
        """Set the job's result, persisted when run() ends."""
        self.result = encode(result)

    @contextmanager
    def _held(self, **changes: object) -> Iterator[None]:
        """Begin a transaction of the lease's holder that also persists ended steps."""
        reset = {"failures": 0} if self._ended else {}
        with leased_writes.held(self._ctx, self._lease, **reset | changes):
            for ended in self._ended:
                self._record(*ended)
            self._undo.write()
            yield
        self._ended.clear()

    def _stored_step(self, name: str) -> JobStep | None:
        if name in self._met:
            raise ValueError(f"job {self.id}: two steps are named {name!r}")
        self._met.add(name)
        return self._steps.get(name)

    def _begin(self, name: str, stored: JobStep | None) -> None:
        now = self._ctx.clock.now()
        if stored is not None:  # it began before a crash: finish it before honouring cancel or stop
            JobStep.update(started_at=now).where(JobStep.id == stored.id).execute()
            return
        self._check_cancel_and_stop()
        position = JobStep.select().where(JobStep.job == self.id).count()
        JobStep.insert(job=self.id, name=name, position=position, started_at=now).execute()

    def _record(self, name: str, data: Json, ended_at: datetime) -> None:
        changes = {"result": data, "finished_at": ended_at}
        JobStep.update(**changes).where(JobStep.job == self.id, JobStep.name == name).execute()

    def _check_cancel_and_stop(self) -> None:
        self.check_cancelled()
        if self._stopping():
            raise Released
