"""Clients that place VMs at the edge of capacity, as many threads of one process: run by tests, and as a program.

Each placement is a transaction of its own, as a request's is. A refusal is checked at once, in the same transaction: no
host has the room. Some give back what they got, so that the edge is reached again and again.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from pathlib import Path
from typing import Any

from peewee import fn

from service.db import allocations
from service.db.engine.database import bind, open_database, transaction
from service.db.facts_pages import open_journals
from service.db.tables import TABLES, Allocation, Host, Vm
from service.placement.facts import VmRequest
from service.placement.policy import STORAGE_CPU
from service.placer.facts_journal import FactsJournal
from service.placer.placer import Placer
from tests.worlds.placer import NOW, NOW_S

SIZES = ((1, 512), (2, 1024), (2, 4096), (4, 2048))
KEEPS = 0.9  # of what is placed stays


class Clients:
    """One process: a database, a placer, threads."""

    def __init__(self, url: str, folder: Path, name: str) -> None:
        self.name = name
        self.db = open_database(url, busy_timeout_s=120.0)
        bind(self.db, TABLES)
        self.placer = Placer(self.db, FactsJournal(open_journals(f"sqlite:///{folder / 'facts.db'}"), name))
        self.told = {"placed": 0, "refused": 0, "given_back": 0, "wrong": []}
        self._lock = threading.Lock()

    def run(self, numbers: range, placements: int) -> dict[str, Any]:
        """Clients with these numbers, that many placements each."""
        threads = [threading.Thread(target=self._client, args=(number, placements)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.placer.journal.flush(NOW_S)
        return self.told

    def _client(self, number: int, placements: int) -> None:
        dice = random.Random(number)
        for turn in range(placements):
            vcpus, memory_mib = dice.choice(SIZES)
            self._place(f"vm{number * placements + turn}", vcpus, memory_mib, keeps=dice.random() < KEEPS)

    def _place(self, vm_id: str, vcpus: int, memory_mib: int, *, keeps: bool) -> None:
        want = VmRequest(vcpus=vcpus, memory_mib=memory_mib, now_s=NOW_S, max_facts_age_s=1e9)
        with transaction(self.db), self.placer as placer:
            decision = placer.decide(want, STORAGE_CPU)
            if decision.chosen is None:
                self._refused(vcpus, memory_mib)
                return
            placer.claim(Vm(id=vm_id), want, decision.chosen.host_id, allocation_id=vm_id, now=NOW)
        self._count("placed")
        if not keeps:
            with transaction(self.db):
                allocations.release(vm_id)
            self._count("given_back")

    def _refused(self, vcpus: int, memory_mib: int) -> None:
        free_vcpus, free_mib = Host.vcpus - Host.allocated_vcpus, Host.memory_mib - Host.allocated_memory_mib
        room = Host.select().where((free_vcpus >= vcpus) & (free_mib >= memory_mib)).count()
        self._count("refused", [f"{vcpus} vCPU, {memory_mib} MiB: {room} hosts have room"] if room else [])

    def _count(self, what: str, wrong: list[str] | None = None) -> None:
        with self._lock:
            self.told[what] += 1
            self.told["wrong"] += wrong or []


def sums(db: Any) -> list[str]:
    """What does not add up: counters that are not the sums of the allocations, hosts that are over-committed."""
    with transaction(db):
        columns = fn.SUM(Allocation.vcpus), fn.SUM(Allocation.memory_mib), fn.COUNT(Allocation.id)
        held = {
            row[0]: row[1:] for row in Allocation.select(Allocation.host, *columns).group_by(Allocation.host).tuples()
        }
        rows = list(Host.select())
    wrong = [
        f"{host.name}: {counted} counted, {held.get(host.id, (0, 0, 0))} held"
        for host in rows
        if (counted := (host.allocated_vcpus, host.allocated_memory_mib, host.vm_count)) != held.get(host.id, (0, 0, 0))
    ]
    over = [
        host.name for host in rows if host.allocated_vcpus > host.vcpus or host.allocated_memory_mib > host.memory_mib
    ]
    return wrong + [f"{name} is over-committed" for name in over]


def main(url: str, folder: str, name: str, first: str, last: str, placements: str) -> None:
    """Run clients `first` to `last` - 1 and tell the outcome as a line of JSON."""
    told = Clients(url, Path(folder), name).run(range(int(first), int(last)), int(placements))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
