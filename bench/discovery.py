"""Facts of the living stay fresh while others are silent for an hour: 10,000 hosts in RAM with latencies, and 200 real
TCP listeners that accept and say nothing, through the libvirt driver.

What is accelerated: the pauses between two tries at a silent host and the deadline of a try are a twentieth of the real
ones, and the run ends when each was tried as often as in an hour. The rounds, the database (SQLite, every commit on the
disk) and the ages of facts are real. Beside the rounds another process writes to the database as a claim does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import Any

from peewee import fn

from bench.comparison import Limit
from bench.silent_hosts import address, make_pki, network_of
from service.bootstrap import build_context, migrate_database
from service.context import Context
from service.db.engine.database import transaction, unit_of_work
from service.db.tables import Host
from service.hypervisor.contract import DomainEvent, HostEndpoint, Hypervisor
from service.hypervisor.host_backoff import FIRST_PAUSE_S, LONGEST_PAUSE_S, HostBackoff
from service.hypervisor.libvirt_driver.libvirt_hosts import LibvirtHypervisors
from service.hypervisor.libvirt_link.reachability import TIMEOUT_S
from service.hypervisor.memory.memory import MemoryHypervisors
from service.hypervisor.memory.memory_cloud import MemoryCloud
from service.operations.registry import OPERATIONS
from service.settings import Settings
from service.worker.loop import Worker
from service.worker.schedule import Periodic, Schedule

FASTER = 20
TRIES_IN_AN_HOUR = 65  # one a minute, and the first ones, which follow each other sooner
ROUND_S = 10.0
LATENCY_S = (0.002, 0.05)  # of one call to a living host
SILENT = "silent"
AT_ONCE = 500
SAMPLE_S = 0.5
PATIENCE_S = 1800


@dataclass(frozen=True, slots=True)
class Size:
    """How large the cloud is, and how long it is watched. Times are as on the clock here."""

    living: int = 10_000
    silent: int = 200
    tries: int = TRIES_IN_AN_HOUR
    faster: float = FASTER
    round_s: float = ROUND_S


@dataclass(slots=True)
class Seen:
    """The worst of everything, and how long writers waited."""

    age_s: float = 0.0
    threads: int = 0
    descriptors: int = 0
    rss_mib: float = 0.0
    samples: int = 0
    tries: int = 0
    waits_s: list[float] = field(default_factory=list)


class TwoKinds:
    """Hosts at this computer's own addresses are real sockets; all others are in RAM."""

    def __init__(self, memory: MemoryHypervisors, real: LibvirtHypervisors) -> None:
        self._memory = memory
        self._real = real

    def on(self, endpoint: HostEndpoint) -> Hypervisor:
        return self._real.on(endpoint) if _is_real(endpoint) else self._memory.on(endpoint)

    def listen(self, handler: Callable[[DomainEvent], None]) -> None:
        self._memory.listen(handler)

    def reach(self, endpoints: Collection[HostEndpoint]) -> Mapping[HostEndpoint, str | None]:
        told = dict(self._memory.reach([one for one in endpoints if not _is_real(one)]))
        return told | self._real.reach([one for one in endpoints if _is_real(one)])

    def keep(self, endpoints: Collection[HostEndpoint]) -> None:
        self._real.keep([one for one in endpoints if _is_real(one)])

    def close(self) -> None:
        self._real.close()


def _is_real(endpoint: HostEndpoint) -> bool:
    return endpoint.address.startswith("127.")


def run() -> Iterator[Limit]:
    """The whole of it: some minutes."""
    with tempfile.TemporaryDirectory(prefix="nacre-discovery-") as folder:
        yield from limits(watch(Path(folder), Size()), Size())


def limits(seen: Seen, size: Size) -> Iterator[Limit]:
    """What was seen beside what is bearable."""
    waits_ms = sorted(1000 * wait for wait in seen.waits_s)

    def limit(case: str, unit: str, ours: float, aim: float, n: int) -> Limit:
        return Limit("discovery", f"{case}, {size.living} + {size.silent} silent", unit, ours, "lower", aim, n)

    yield limit("oldest facts of the living", "s", seen.age_s, 60, seen.samples)
    yield limit("memory, prober included", "MiB", seen.rss_mib, 400, seen.samples)
    yield limit("threads", "threads", seen.threads, 400, seen.samples)
    yield limit("descriptors", "descriptors", seen.descriptors, 512, seen.samples)
    p99_ms = waits_ms[int(len(waits_ms) * 0.99)] if waits_ms else 0.0
    yield limit("a write beside the rounds, p99", "ms", p99_ms, 50, len(waits_ms))
    yield Limit(
        "discovery", "tries at each silent host", "tries", seen.tries / size.silent, "higher", size.tries, size.silent
    )


def watch(folder: Path, size: Size) -> Seen:
    """Let a worker look at the hosts until the silent ones were tried often enough; then what was the worst."""
    with _silent_hosts(size.silent) as tries_so_far:
        ctx = _world(folder, size)
        rounds = Schedule((Periodic("observe_hosts", size.round_s, "observe_hosts", 1),))
        worker = Worker(ctx, OPERATIONS, worker_id="bench", schedule=rounds)
        working, seen = threading.Thread(target=worker.run), Seen()
        working.start()
        try:
            _until_all_were_seen(ctx, size)
            with _writes_beside(ctx, seen):
                _sample(ctx, size, seen, tries_so_far)
        finally:
            worker.stop()
            working.join(60)
            ctx.hypervisors.close()
        return seen


@contextmanager
def _silent_hosts(count: int) -> Iterator[Callable[[], int]]:
    words = [sys.executable, "-m", "bench.silent_hosts", str(count), str(network_of(os.getpid()))]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        ears, mouth = child.stdout, child.stdin
        if ears.readline() != "ready\n":
            raise RuntimeError("the silent hosts do not listen: is port 16514 taken on this computer's own addresses?")

        def tries_so_far() -> int:
            mouth.write("\n")
            mouth.flush()
            return int(ears.readline())

        yield tries_so_far
        mouth.close()


def _world(folder: Path, size: Size) -> Context:
    network = network_of(os.getpid())
    addresses = [address(network, number) for number in range(size.silent)]
    (folder / "pki").mkdir()
    settings = Settings(state_dir=folder / "state", libvirt_pki=make_pki(folder / "pki", addresses))
    migrate_database(settings)
    ctx = build_context(settings)
    cloud, random = MemoryCloud(ctx.clock), Random(7)
    rows = [_row(n, f"host{n:05d}", str(IPv4Address("172.16.0.1") + n)) for n in range(size.living)]
    for row in rows:
        cloud.add_host(row["name"], row["address"]).answer_s = random.uniform(*LATENCY_S)
    rows += [_row(size.living + n, f"{SILENT}{n:05d}", at) for n, at in enumerate(addresses)]
    with transaction(ctx.db):
        for first in range(0, len(rows), AT_ONCE):
            Host.insert_many(rows[first : first + AT_ONCE]).execute()
    real = LibvirtHypervisors(settings.libvirt_pki, probe_timeout_s=TIMEOUT_S / size.faster)
    backoff = HostBackoff(FIRST_PAUSE_S / size.faster, LONGEST_PAUSE_S / size.faster)
    memory = replace(ctx.memory, host_backoff=backoff)
    return replace(ctx, hypervisors=TwoKinds(MemoryHypervisors(cloud), real), memory=memory)


def _row(number: int, name: str, at: str) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{number:012x}", "created_at": datetime.now(UTC), "name": name, "address": at,
        "state": "active", "vcpus": 64, "memory_mib": 196608, "reserved_vcpus": 0, "reserved_memory_mib": 0,
        "ceph_user": "", "virt_type": "kvm", "machine": "pc-q35-7.2",
    }  # fmt: skip


def _until_all_were_seen(ctx: Context, size: Size) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with unit_of_work(ctx.db):
            if Host.select().where(Host.observed_at.is_null(False)).count() == size.living:
                return
        time.sleep(SAMPLE_S)  # nobody tells when a round has come so far
    raise RuntimeError("the living hosts were not all seen")


def _sample(ctx: Context, size: Size, seen: Seen, tries_so_far: Callable[[], int]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while seen.tries < size.tries * size.silent and time.monotonic() < deadline_s:
        seen.age_s = max(seen.age_s, _oldest_s(ctx))
        seen.threads = max(seen.threads, threading.active_count())
        seen.descriptors = max(seen.descriptors, len(os.listdir("/proc/self/fd")))
        seen.rss_mib = max(seen.rss_mib, _rss_mib())
        seen.samples, seen.tries = seen.samples + 1, tries_so_far()
        time.sleep(SAMPLE_S)


def _oldest_s(ctx: Context) -> float:
    with unit_of_work(ctx.db):
        oldest = Host.select(fn.MIN(Host.observed_at)).where(~Host.name.startswith(SILENT)).scalar()
    return float((ctx.clock.now() - oldest).total_seconds())


def _rss_mib() -> float:
    """This process and its prober."""
    pids = ["self", *(pid for pid in os.listdir("/proc") if pid.isdecimal() and _is_prober(pid))]
    return sum(map(_resident_kib, pids)) / 1024


def _is_prober(pid: str) -> bool:
    try:
        ours = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
        return ours and b"hypervisor.probing" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return False


def _resident_kib(pid: str) -> int:
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in told.splitlines() if line.startswith("VmRSS:")), 0)


@contextmanager
def _writes_beside(ctx: Context, seen: Seen) -> Iterator[None]:
    words = [sys.executable, "-m", "bench.writes_beside", ctx.settings.database]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield
        told, _ = child.communicate(timeout=60)
        seen.waits_s = json.loads(told)
