"""One table of hosts per process, in step with the database: a decision reads only what changed since the last one.

Every change of a host has a number (host_changes.py). What this process reads within its own transaction may yet be
rolled back, and the number used again for something else: such hosts are in doubt until the commit, and are read again
when it did not come.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import inf
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

from service.db import allocations, change_counter
from service.db.allocations import Room
from service.db.engine.database import Database
from service.db.engine.fields import optional_epoch_seconds
from service.db.tables import Host, Vm
from service.placement.facts import HostFacts, VmRequest
from service.placement.place import Decision, place
from service.placement.policy import STORAGE_CPU, Policy
from service.placement.table import HostTable
from service.placer.chosen_host import ChosenHost
from service.placer.facts_journal import FactsJournal
from service.placer.host_facts import Promises, candidates

Ages: TypeAlias = tuple[float | None, float | None]

AT_ONCE = 200  # hosts that are read in one go
AGES_AGAIN_S = 1.0  # a refusal looks again after so long


@dataclass(frozen=True, slots=True)
class Row:
    """What a claim and a start need of a host beside its facts."""

    generation: int
    machine: str | None


class Placer:
    """Used with its lock held: `with placer: placer.decide(…); placer.claim(…)`, inside a unit of work.

    A decision that is to be claimed is made inside the transaction that claims: it is the only one that writes.
    """

    def __init__(
        self, db: Database, journal: FactsJournal, *, promises: Promises | None = None, ages_after_s: float = 5.0
    ) -> None:
        self.journal = journal
        self.table = HostTable()
        self._db = db
        self._promises = promises or Promises()
        self._ages_after_s = ages_after_s
        self._lock = threading.RLock()
        self._rows: dict[str, Row] = {}
        self._observed: dict[str, Ages] = {}
        self._seen = -1  # changes up to here are in the table
        self._certain = -1  # and up to here they are committed
        self._removed = -1
        self._in_doubt: set[str] = set()
        self._transaction: object = None  # the one that put them in doubt
        self._ages_at = -inf

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def decide(self, want: VmRequest, policy: Policy) -> Decision:
        """On hosts as they are at this moment. Nothing fits: their ages were looked at for it, too."""
        self.sync(want.now_s)
        decision = place(self.table, want, policy)
        if decision.chosen is None and want.now_s - self._ages_at >= AGES_AGAIN_S and self._read_ages(want.now_s):
            decision = place(self.table, want, policy)
        decided = policy if decision.fallback is None else STORAGE_CPU  # another one's hash is kept with a fallback
        self.journal.note_policy(decided.hash, {"algorithm": decided.algorithm, "weights": dict(decided.weights)})
        return decision

    def sync(self, now_s: float) -> None:
        """Bring the table up to now (epoch)."""
        doubtful = self._settle()
        value, removed = change_counter.last()
        if removed != self._removed or value < self._seen:
            self._read_all(value, removed, now_s)
        elif value != self._seen or doubtful:
            self._read_changed(value, doubtful, now_s)
        if not 0 <= now_s - self._ages_at < self._ages_after_s:
            self._read_ages(now_s)
        if self.journal.is_full(len(self.table)):
            self.journal.forget()  # a decision waits for no other file
        if self.journal.wants_all(len(self.table), now_s):
            self.journal.note_all(self.table.hosts(), now_s)

    def catch_up(self, now_s: float) -> None:
        """Read what changed, some hosts at a time, so that the next decision need not. Outside of any transaction."""
        while True:
            with self:
                if self._seen != self._certain:
                    return  # a decision is under way, or was just made: the table is of now
                if not self._read_some(now_s):
                    self.sync(now_s)
                    return

    def claim(self, vm: Vm, want: VmRequest, host_id: str, *, allocation_id: str, now: datetime) -> ChosenHost:
        """Allocate what the VM wants of a host to it, on the facts that the host was decided on.

        Inside the transaction that decided. Raises ConflictError (`placement.raced`).
        """
        facts, row = self.table.facts(host_id), self._rows[host_id]
        room = Room(host_id, facts.name, row.generation, facts.usable_vcpus, facts.usable_memory_mib)
        number = allocations.claim(
            allocation_id=allocation_id, vm=vm, room=room, vcpus=want.vcpus, memory_mib=want.memory_mib, now=now
        )
        if number is not None:
            self._claimed(host_id, want, number)
        return ChosenHost(host_id, facts.name, facts.virt_type, row.machine)

    def _claimed(self, host_id: str, want: VmRequest, number: int) -> None:
        """Take a claim by the change of this number into the table. The VM held nothing before."""
        if number != self._seen + 1:
            return  # more has changed: the next decision reads it
        self.table.claim(host_id, want)
        row = self._rows[host_id]
        self._rows[host_id] = Row(row.generation + 1, row.machine)
        self._seen = number
        self._doubt([host_id])
        self.journal.note([self.table.facts(host_id)])

    def doubt(self) -> None:
        """A part of the transaction was rolled back."""
        with self:
            self._transaction = None

    def _settle(self) -> list[str]:
        """Hosts that another transaction left in doubt: it is over, and did not say how."""
        if self._seen == self._certain or self._transaction is self._under_way():
            return []
        doubtful, self._in_doubt = sorted(self._in_doubt), set()
        self._seen, self._transaction = self._certain, None
        return doubtful

    def _read_all(self, value: int, removed: int, now_s: float) -> None:
        found = candidates(Host.select(), self._promises, ids=None)
        self.table = HostTable(one.facts for one in found)
        self._rows = {one.facts.host_id: Row(one.generation, one.machine) for one in found}
        self._observed = {one.facts.host_id: _ages(one.facts) for one in found}
        self._seen, self._removed, self._certain = value, removed, -1
        self._doubt(self._rows)
        self.journal.note_all((one.facts for one in found), now_s)
        self._ages_at = now_s

    def _read_changed(self, value: int, doubtful: list[str], now_s: float) -> None:
        changed: set[str] = {host_id for (host_id,) in _ids(Host.changed > self._seen)}
        ids = sorted(changed.union(doubtful))
        for first in range(0, len(ids), AT_ONCE):
            self._read(ids[first : first + AT_ONCE], now_s)
        self._seen = value
        self._doubt(changed)

    def _read_some(self, now_s: float) -> bool:
        """The changes with the lowest numbers; False when there are few, or none."""
        numbered = Host.select(Host.id, Host.changed).where(Host.changed > self._seen).order_by(Host.changed)
        some: list[tuple[str, int]] = list(cast(Any, numbered.limit(AT_ONCE).tuples())) if self._seen >= 0 else []
        if len(some) < AT_ONCE or some[0][1] == some[-1][1]:
            return False
        ids = [host_id for host_id, number in some if number < some[-1][1]]
        self._read(ids, now_s)
        self._seen = self._certain = some[len(ids) - 1][1]
        return True

    def _read(self, ids: list[str], now_s: float) -> None:
        found = candidates(Host.select().where(Host.id.in_(ids)), self._promises, ids=ids)
        for one in found:
            self.table.put(one.facts)
            self._rows[one.facts.host_id] = Row(one.generation, one.machine)
            self._observed[one.facts.host_id] = _ages(one.facts)
        self.journal.note(one.facts for one in found)
        for host_id in set(ids) - {one.facts.host_id for one in found}:  # made by what was rolled back
            self.table.remove(host_id)
            self.journal.note_all(self.table.hosts(), now_s)

    def _read_ages(self, now_s: float) -> bool:
        """Whether any host was observed since. That alone is no change that is numbered."""
        self._ages_at = now_s
        columns = Host.id, Host.observed_at, Host.storage_observed_at
        rows = Host.select(*columns).where(Host.observed_at.is_null(False)).tuples()
        newer = {
            host_id: ages
            for host_id, at, storage_at in cast(Any, rows)
            if host_id in self._observed
            and (ages := (optional_epoch_seconds(at), optional_epoch_seconds(storage_at))) != self._observed[host_id]
        }
        if newer:
            self._observed |= newer
            self.table.observed(cast(Any, newer))
            by_name = (self.table.label(row)[0] for row in range(len(self.table)))
            self.journal.note_ages([self._observed[host_id] for host_id in by_name])
        return bool(newer)

    def _doubt(self, host_ids: Iterable[str]) -> None:
        """Until the transaction under way commits; outside of any, what was read is committed."""
        under_way = self._under_way()
        if under_way is None:
            self._certain = self._seen
            return
        if self._transaction is not under_way:
            self._transaction = under_way
            self._db.after_commit(lambda: self._committed(under_way))
        self._in_doubt.update(host_ids)

    def _under_way(self) -> object | None:
        """This thread's transaction."""
        transaction: object | None = self._db.top_transaction()  # type: ignore[no-untyped-call]
        return transaction

    def _committed(self, transaction: object) -> None:
        with self:
            if self._transaction is transaction:
                self._certain, self._transaction = self._seen, None
                self._in_doubt.clear()


def _ages(host: HostFacts) -> Ages:
    return host.observed_at_s, host.storage_observed_at_s


def _ids(which: Any) -> Iterable[tuple[str]]:
    return cast("Iterable[tuple[str]]", Host.select(Host.id).where(which).tuples())
