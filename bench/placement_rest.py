"""From a POST to a host that is chosen and durably claimed, beside openstack-placement's candidates and allocation.

Both sides have a thousand hosts and write to disk before they answer; hypervisors are not asked by either, and what an
accepted VM still needs is left to a worker that does not run. Nacre does more in the same time: see OURS_DOES and
THEIRS_DOES, which are told with the figures.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import peers, world
from bench.comparison import Comparison
from bench.http_client import Connection, request_bytes
from bench.placement_peer import Peer, running_peer
from bench.servers import ADDRESS, free_port, running, service_command
from service.bootstrap import build_context
from service.db.engine.database import unit_of_work
from service.db.tables import Allocation, Host
from service.settings import load_settings
from tests.postgres import server

HOSTS = 1000
CLIENTS = (1, 4)
AIMS = {1: 60.0, 4: 80.0}
ROUNDS, OURS_S, THEIRS_S = 4, 2.5, 5.0
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on"}
WANT = (1, 1024 + 64)  # vCPUs and MiB of the flavor, QEMU's own memory included
HAS = (1024, 1 << 20)  # of world's hosts

PEER = "openstack-placement"

OURS_DOES = (
    "one POST: token, role and quota checked; VM, two volumes, card with address, capacity, decision with the five "
    "best hosts, job with its undo entries, audit row and two events written in one transaction"
)
THEIRS_DOES = (
    "GET of candidates and PUT of an allocation: no token is looked up; a consumer and its amounts of capacity are "
    "written, and no VM, volume, card, quota, decision, job, audit row or event"
)

Place = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Rate:
    """VMs placed, and the seconds that it took."""

    placed: int
    seconds: float

    @property
    def per_s(self) -> float:
        """VMs per second."""
        return self.placed / self.seconds

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.placed + other.placed, self.seconds + other.seconds)


@dataclass(frozen=True, slots=True)
class Ours:
    """A running API with an empty cloud of a thousand hosts."""

    made: world.World
    names: Iterator[int]

    @contextmanager
    def client(self, number: int) -> Iterator[Place]:
        """One connection that asks for one VM after the other."""
        del number
        with Connection(ADDRESS, self.made.port) as connection:

            def place() -> None:
                body = {"name": world.vm_name(next(self.names)), "flavor": "small", "image": "debian"}
                sent = request_bytes("POST", "/v1/vms", self.made.token, json.dumps(body).encode())
                status, answer = connection.ask(sent)
                if status != 202:
                    raise RuntimeError(f"{status}: {answer.decode()[:500]}")

            yield place

    def over_committed(self) -> int:
        """How many hosts are promised more often than they are there."""
        ctx = build_context(load_settings(self.made.settings_file))
        with unit_of_work(ctx.db):
            hosts = {host.id: (host.vcpus, host.memory_mib) for host in Host.select()}
            promised = dict.fromkeys(hosts, (0, 0))
            for row in Allocation.select():
                vcpus, memory_mib = promised[row.host_id]
                promised[row.host_id] = (vcpus + row.vcpus, memory_mib + row.memory_mib)
        return sum(promised[id_][0] > has[0] or promised[id_][1] > has[1] for id_, has in hosts.items())


def run() -> Iterator[Comparison]:
    """One comparison for each database and number of clients."""
    python = peers.interpreter("placement")
    if python is None:
        peers.absent("placement_rest", "openstack-placement")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nacre-bench-")))
        databases = stack.enter_context(server(**DURABLE))
        sides: dict[str, Ours | Peer] = {
            "SQLite": stack.enter_context(_ours(folder / "sqlite")),
            "PostgreSQL": stack.enter_context(_ours(folder / "postgresql", database_url=databases.new())),
        }
        if python is not None:
            made = running_peer(python, folder / "peer", databases.new(), hosts=HOSTS, has=HAS, want=WANT)
            sides[PEER] = stack.enter_context(made)
        for clients in CLIENTS:
            yield from _compared(clients, sides)
        for name, side in sides.items():
            if side.over_committed():
                raise RuntimeError(f"{name} promised more of {side.over_committed()} hosts than there is")


@contextmanager
def _ours(folder: Path, **settings: object) -> Iterator[Ours]:
    made = world.make(folder, vms=0, hosts=HOSTS, port=free_port(), facts_max_age_s=86400.0, **settings)
    with running(service_command(made.settings_file), made.port, folder / "api.log"):
        yield Ours(made, itertools.count())


def _compared(clients: int, sides: dict[str, Ours | Peer]) -> Iterator[Comparison]:
    """All sides take turns; without the peer, ours is told and compared with nothing."""
    rates = dict.fromkeys(sides, Rate(0, 0.0))
    for _ in range(ROUNDS):
        for name, side in sides.items():
            rates[name] += _rate(clients, side, THEIRS_S if name == PEER else OURS_S)
    for name, rate in rates.items():
        case = f"POST to committed, {HOSTS} hosts, {name}, {clients} client{'s' if clients > 1 else ''}"
        if PEER not in rates:
            sys.stderr.write(f"{case}: {rate.per_s:.1f}/s\n")
        elif name != PEER:
            theirs = rates[PEER].per_s
            yield Comparison(
                "placement_rest",
                case,
                "VMs/s",
                rate.per_s,
                theirs,
                "higher",
                AIMS[clients],
                rate.placed,
                work=(OURS_DOES, THEIRS_DOES),
            )


def _rate(clients: int, side: Ours | Peer, seconds: float) -> Rate:
    """What that many clients get placed in so many seconds, each asking again as soon as it is answered."""
    ready = threading.Barrier(clients)

    def ask(number: int) -> tuple[int, float, float]:
        """How many were placed, from when to when."""
        with side.client(number) as place:
            try:
                place()
            except BaseException:
                ready.abort()  # the others need not wait
                raise
            ready.wait()
            now = begun = time.perf_counter()
            count = 0
            while now - begun < seconds:
                place()
                count, now = count + 1, time.perf_counter()
            return count, begun, now

    with ThreadPoolExecutor(clients) as threads:
        asked = [threads.submit(ask, number) for number in range(clients)]
    failures = [failed for one in asked if (failed := one.exception()) is not None]
    for failure in sorted(failures, key=lambda one: isinstance(one, threading.BrokenBarrierError)):
        raise failure  # the first that is no mere consequence of another's
    counts, begun, ended = zip(*(one.result() for one in asked), strict=True)
    return Rate(sum(counts), max(ended) - min(begun))
