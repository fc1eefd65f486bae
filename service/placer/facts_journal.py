"""What every decision saw: changes of the table of hosts, one after the other, in a database of their own.

A process keeps one journal, and numbers the states of its table in it. Its requests only append to a list in memory; a
thread of its own packs and writes what is there, so a process that dies takes the last second along. The file is
bounded in hours and bytes: the oldest goes first, and with it what is known of the decisions of its time. Where it
cannot be written, nothing else stops: what waits is forgotten, and the journal begins again with all hosts.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from math import inf
from operator import attrgetter
from typing import TypeAlias

from service.db import facts_pages
from service.db.engine.database import Database
from service.db.engine.errors import DatabaseUnavailableError
from service.db.engine.fields import EPOCH
from service.db.facts_pages import Page
from service.db.placements import FactsVersion
from service.errors import GoneError
from service.json_types import Json, JsonObject
from service.placement.facts import HostFacts
from service.placement.plain import host_facts, plain

Ages: TypeAlias = Sequence[tuple[float | None, float | None]]

MOST_WAITING = 20_000  # changes of hosts in memory, or so many times all of them
TIMES_ALL = 4
AGES_OF_A_CHANGE = 50  # ages that take as much room as a change of a host
LEAST_CHANGES = 256
WHOLE_AFTER = 4  # times as many changes as there are hosts: then all of them are written again
WHOLE_EVERY_S = 3600.0
CODE = "placement.facts_gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A step from one state of the table to the next: hosts as they are now, or, of all hosts by name, the ages."""

    number: int
    hosts: tuple[HostFacts, ...] = ()
    ages: Ages | None = None
    whole: bool = False  # `hosts` are all that there are


@dataclass(slots=True)
class FactsJournal:
    """One per process. `note_…` are quick, and for one thread at a time; flush() is the writing thread's."""

    db: Database
    name: str
    number: int = 0
    _waiting: list[Change] = field(default_factory=list)
    _policies: JsonObject = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _since_whole: int = 0
    _whole_at: float = -inf
    _waiting_hosts: int = 0
    _prepared: bool = False

    @property
    def version(self) -> FactsVersion:
        """The state that the journal is at."""
        return FactsVersion(self.name, self.number)

    def note(self, hosts: Iterable[HostFacts]) -> None:
        """These hosts are now so."""
        self._append(Change(self.number + 1, tuple(hosts)))

    def note_ages(self, ages: Ages) -> None:
        """When the hosts, all of them by name, and their storage were last observed."""
        self._append(Change(self.number + 1, ages=ages))

    def note_all(self, hosts: Iterable[HostFacts], now_s: float) -> None:
        """There are these hosts and no others."""
        self._append(Change(self.number + 1, tuple(hosts), whole=True))
        self._since_whole, self._whole_at = 0, now_s

    def note_policy(self, policy_hash: str, policy: Mapping[str, Json]) -> None:
        """What the hash stands for, as plain data; once is enough."""
        if policy_hash not in self._known:
            self._known.add(policy_hash)
            with self._lock:
                self._policies[policy_hash] = dict(policy)

    def wants_all(self, hosts: int, now_s: float) -> bool:
        """Whether it is time for note_all(), so that a state can be found without reading a day's changes."""
        return now_s - self._whole_at >= WHOLE_EVERY_S or self._since_whole > WHOLE_AFTER * max(hosts, LEAST_CHANGES)

    def is_full(self, hosts: int) -> bool:
        """Whether much is waiting and nothing writes it."""
        return self._waiting_hosts > max(MOST_WAITING, TIMES_ALL * hosts)

    def forget(self) -> None:
        """Give up what is waiting: to decide is more than to tell of it later."""
        with self._lock:
            self._waiting, self._waiting_hosts = [], 0
        self._whole_at = -inf

    def flush(self, now_s: float) -> None:
        """Write what is waiting; it is forgotten where that fails. Raises DatabaseUnavailableError."""
        with self._writing:
            with self._lock:
                changes, self._waiting, self._waiting_hosts = self._waiting, [], 0
                policies, self._policies = self._policies, {}
            try:
                self._store(changes, policies, EPOCH + timedelta(seconds=now_s))
            except DatabaseUnavailableError:
                with self._lock:
                    self._policies = policies | self._policies
                self._whole_at = -inf
                raise

    def _store(self, changes: list[Change], policies: JsonObject, now: datetime) -> None:
        pages = list(self._pages(changes))  # packing takes longer than writing: no other process waits for it
        packed = {policy_hash: _packed(policy) for policy_hash, policy in policies.items()}
        self._prepare()
        facts_pages.write(self.db, self.name, pages, packed, now)

    def _prepare(self) -> None:
        if not self._prepared:
            facts_pages.create_tables(self.db)
            self._prepared = True

    def _append(self, change: Change) -> None:
        self.number = change.number
        self._since_whole += len(change.hosts)
        with self._lock:
            self._waiting.append(change)
            self._waiting_hosts += len(change.hosts) + len(change.ages or ()) // AGES_OF_A_CHANGE

    def _pages(self, changes: list[Change]) -> Iterator[Page]:
        for whole, some in groupby(changes, key=attrgetter("whole")):
            for page in ([change] for change in some) if whole else [list(some)]:
                body = _packed([_plain(change) for change in page])
                yield Page(page[0].number, page[-1].number, whole, body)


def purge(db: Database, before: datetime, *, keep_bytes: int) -> None:
    """Delete what no decision since `before` needs, and the oldest beyond `keep_bytes`.

    Raises DatabaseUnavailableError.
    """
    facts_pages.purge(db, before - timedelta(seconds=WHOLE_EVERY_S), keep_bytes=keep_bytes)


def hosts_at(db: Database, journal: str, number: int) -> list[HostFacts]:
    """All hosts as the table had them at that number of the journal. Raises GoneError (`placement.facts_gone`)."""
    pages = facts_pages.read(db, journal, number)
    if not pages or pages[-1].last < number:
        raise _gone()
    hosts: dict[str, HostFacts] = {}
    reached = pages[0].first - 1
    for page in pages:
        for step, whole, changed, ages in _unpacked(page.body):
            if step > number:
                break
            if step != reached + 1:
                raise _gone()
            reached = step
            hosts = _after({} if whole else hosts, changed, ages)
    return sorted(hosts.values(), key=lambda host: host.name)


def policy_of(db: Database, policy_hash: str) -> JsonObject:
    """Return what note_policy() was given for the hash. Raises GoneError (`placement.facts_gone`)."""
    body = facts_pages.read_policy(db, policy_hash)
    if body is None:
        raise _gone()
    return dict(_unpacked(body))


def _plain(change: Change) -> list[Json]:
    ages = None if change.ages is None else [list(pair) for pair in change.ages]
    return [change.number, change.whole, [plain(host) for host in change.hosts], ages]


def _after(hosts: dict[str, HostFacts], changed: list[Json], ages: list[Json] | None) -> dict[str, HostFacts]:
    hosts |= {host.host_id: host for host in map(host_facts, changed)}
    if ages is None:
        return hosts
    by_name = sorted(hosts.values(), key=lambda host: host.name)
    return {
        host.host_id: replace(host, observed_at_s=seen, storage_observed_at_s=storage_seen)
        for host, (seen, storage_seen) in zip(by_name, ages, strict=True)
    }


def _packed(value: Json) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def _unpacked(body: bytes) -> Json:
    return json.loads(zlib.decompress(body))


def _gone() -> GoneError:
    return GoneError("The facts of that moment are no longer kept, or not on this machine.", code=CODE)
