"""One decision with its claim, while one host's facts change: beside nova's filters and weighers, over hosts in RAM.

Of both sides the fastest repetition counts, in CPU time: what else runs on the computer only adds. Ours looks at more
(the storage, history, groups, pools) and says more (the best five term by term, how many hosts each filter ruled out).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import naive_placement, peers
from bench.comparison import Comparison, Limit
from service.placement.facts import HostFacts, HostHardware, HostLoad, HostStorage, HostUsage, PoolFacts, VmRequest
from service.placement.place import place
from service.placement.policy import STORAGE_CPU
from service.placement.table import HostTable

BENCH = "placement_decision"
SIZES = (100, 1_000, 10_000)
FLAVORS = 20
LAPS = 40  # of all flavors
CHECKED = {100: 200, 1_000: 100, 10_000: 12}  # steps of a lap of its own whose decision is made again without memory
NOVA_DECISIONS = {100: 60, 1_000: 40, 10_000: 8}
NOW_S = 1_000_000.0
GIB = 1024
POOL = PoolFacts("vms", NOW_S, 1 << 50, near_full=False, full=False)


def run() -> Iterator[Comparison | Limit]:
    """All sizes, with the peer when it is there."""
    python = peers.interpreter("nova")
    if python is None:
        peers.absent(BENCH, "nova")
    took = {}
    for hosts in SIZES:
        _check(hosts)
        before = _ours_us(hosts)
        theirs = _nova_us(python, hosts) if python is not None else None
        took[hosts] = min(before, _ours_us(hosts))
        if theirs is not None:
            aim = 500.0 if hosts == 1_000 else 1.0
            case = f"{hosts} hosts: decide, claim and a host's facts changed, beside nova's filters and weighers"
            yield Comparison(BENCH, case, "1/s", 1e6 / took[hosts], 1e6 / theirs, "higher", aim, 2 * LAPS * FLAVORS)
    if python is None:
        yield Limit(
            BENCH, "1000 hosts: decide, claim and facts changed", "µs", took[1_000], "lower", 200.0, LAPS * FLAVORS
        )
    slower = took[10_000] / took[1_000]
    yield Limit(BENCH, "as many times slower with 10000 hosts as with 1000", "×", slower, "lower", 3.0, LAPS * FLAVORS)
    yield from _cold_start(10_000)


def _cold_start(hosts: int) -> Iterator[Limit]:
    facts = _hosts(hosts)
    began_s = time.process_time()
    table = HostTable(facts)
    built_s = time.process_time() - began_s
    place(table, _wants()[0], STORAGE_CPU)
    first_s = time.process_time() - began_s - built_s
    yield Limit(BENCH, f"cold start: the table of {hosts} hosts", "ms", built_s * 1e3, "lower", 2_000.0, 1)
    yield Limit(
        BENCH, f"cold start: a flavor's first decision among {hosts} hosts", "ms", first_s * 1e3, "lower", 50.0, 1
    )


def _ours_us(hosts: int) -> float:
    """CPU time of a step, in µs: the mean of the fastest lap."""
    table, wants, laps = HostTable(_hosts(hosts)), _wants(), []
    for want in wants:
        place(table, want, STORAGE_CPU)
    for lap in range(LAPS):
        changes = _changes(table, random.Random(lap))
        began_s = time.process_time()
        for want, change in zip(wants, changes, strict=True):
            _step(table, want, change)
        laps.append((time.process_time() - began_s) / FLAVORS * 1e6)
    return min(laps)


def _step(table: HostTable, want: VmRequest, change: HostFacts) -> None:
    chosen = place(table, want, STORAGE_CPU).chosen
    if chosen is None:
        raise RuntimeError("no host was found: the benchmark's cloud is too small")
    table.claim(chosen.host_id, want)
    table.put(change)


def _check(hosts: int) -> None:
    """The decision of each step is the one that a plain loop over all hosts makes."""
    table, wants, chance = HostTable(_hosts(hosts)), _wants(), random.Random(7)
    for number in range(CHECKED[hosts]):
        want = wants[number % FLAVORS]
        decision = place(table, want, STORAGE_CPU)
        if decision != naive_placement.place(table.hosts(), want, STORAGE_CPU):
            raise RuntimeError(f"{hosts} hosts, step {number}: another decision than without memory")
        _step(table, want, _changes(table, chance)[0])


def _nova_us(python: Path, hosts: int) -> float:
    """CPU time of nova's fastest decision, in µs."""
    script = Path(__file__).with_name("nova_scheduler.py")
    command = [str(python), "-W", "ignore", str(script), str(hosts), str(NOVA_DECISIONS[hosts])]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    sys.stderr.write(f"{BENCH}: nova asked {len(told['filters'])} filters and {told['weighers']} weighers\n")
    return float(min(told["ms"])) * 1e3


def _wants() -> list[VmRequest]:
    return [
        VmRequest(
            vcpus=1 + number % 4,
            memory_mib=GIB * (1 + number % 5) + 64,
            pools=(POOL,),
            bridges=frozenset({"br-guest"}),
            firmware="uefi",
            project_id="project",
            now_s=NOW_S,
        )
        for number in range(FLAVORS)
    ]


def _hosts(count: int) -> list[HostFacts]:
    chance = random.Random(count)
    return [_host(number, chance) for number in range(count)]


def _host(number: int, chance: random.Random) -> HostFacts:
    """One of a busy cloud: hosts differ in all that is scored, a twentieth takes no VM."""
    return HostFacts(
        host_id=f"{number:036d}",
        name=f"host{number:05d}",
        state="active" if chance.random() < 0.95 else "cordoned",
        observed_at_s=NOW_S - chance.uniform(0, 10),
        virt_type="kvm",
        vcpus=64,
        reserved_vcpus=4,
        allocated_vcpus=chance.randrange(40),
        memory_mib=192 * GIB,
        reserved_memory_mib=16 * GIB,
        allocated_memory_mib=chance.randrange(100) * GIB,
        vm_count=20,
        load=HostLoad(cpu_load=chance.random()),
        hardware=HostHardware(bridges=BRIDGES, cpu_features=FEATURES),
        projects={"project": 1} if chance.random() < 0.1 else {},
        storage=_storage(chance),
        storage_observed_at_s=NOW_S - 5,
        usage=HostUsage(
            cpu_average=chance.uniform(0, 0.4), cpu_peak=chance.uniform(0.2, 0.9), cpu_forecast=chance.random(),
            ceph_cpu=chance.uniform(0, 0.2), memory_used_mib=90 * GIB, ksm_saved_mib=0,
        ),
    )  # fmt: skip


def _storage(chance: random.Random) -> HostStorage:
    degraded = chance.randrange(5) if chance.random() < 0.1 else 0
    return HostStorage(
        osds=4, osds_up=4, op_latency_ms=chance.uniform(0.5, 20), ping_ms=chance.uniform(0.1, 2), pgs=200,
        pgs_degraded=degraded, pgs_recovering=degraded, local_reads={"vms": chance.uniform(0, 0.05)},
        osd_memory_mib=16 * GIB,
    )  # fmt: skip


def _changes(table: HostTable, chance: random.Random) -> list[HostFacts]:
    """New facts for as many hosts as there are flavors: the storage fares otherwise, and some VMs have gone."""
    hosts = chance.sample(table.hosts(), FLAVORS)
    return [
        replace(
            host,
            observed_at_s=NOW_S,
            load=HostLoad(cpu_load=chance.random()),
            storage=_storage(chance),
            allocated_vcpus=chance.randrange(30),
            allocated_memory_mib=chance.randrange(80) * GIB,
        )
        for host in hosts
    ]


BRIDGES = frozenset({"br-guest"})
FEATURES = frozenset(f"feature{number}" for number in range(120))
