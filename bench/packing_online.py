"""A trace of arrivals and departures, replayed on the table and the decision that place VMs, beside three classics.

Hosts of 64 vCPU and 192 GiB, nothing overcommitted. How many hosts are needed so that nobody is refused, what is
refused on too few of them, and what both are when a tenth of the hosts has trouble with its storage.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench import placement_facts, trace
from bench.comparison import Comparison
from bench.trace import Trace
from service.placement.facts import HostFacts, VmRequest
from service.placement.place import place
from service.placement.policy import STORAGE_CPU
from service.placement.table import HostTable

VCPUS, MEMORY_MIB = 64, 192 << 10
FEW = 0.9  # of the hosts that the area bound asks for
CONTENDED = 0.1  # of all hosts
SEED = 4
AIM_HOSTS, AIM_ACCEPTED = 130 / 127, 0.989
AIM_MORE_HOSTS, AIM_SHARE = 1.01, 1 / 3
Numbers = NDArray[np.float64]
# Free vCPUs and MiB of the hosts that the VM fits on → a number for each: the largest is taken, of equals the first.
Rule = Callable[[Numbers, Numbers], Numbers]
CLASSICS: dict[str, Rule] = {
    "first-fit": lambda vcpus, _memory: np.zeros(len(vcpus)),
    "best-fit": lambda vcpus, memory: -(vcpus / VCPUS + memory / MEMORY_MIB),
    "worst-fit": lambda vcpus, memory: vcpus / VCPUS + memory / MEMORY_MIB,
}


@dataclass(slots=True)
class Outcome:
    """What a replay came to. `on` is the number of VMs that each host was given."""

    accepted: float = 0.0  # GiB·h
    refused: float = 0.0
    refusals: int = 0
    on: dict[int, int] = field(default_factory=dict)

    @property
    def share_accepted(self) -> float:
        """Of the GiB·h that were asked for."""
        return self.accepted / (self.accepted + self.refused)

    def share_on(self, hosts: Collection[int]) -> float:
        """Of the VMs that were placed at all."""
        return sum(self.on.get(number, 0) for number in hosts) / sum(self.on.values())


class Ours:
    """The real table and the real decision."""

    def __init__(self, hosts: list[HostFacts]) -> None:
        self._table = HostTable(hosts)
        self._numbers = {host.host_id: number for number, host in enumerate(hosts)}
        self._ids = [host.host_id for host in hosts]

    def take(self, vcpus: int, memory_mib: int) -> int | None:
        """The number of the host that the VM is on from now on."""
        want = VmRequest(vcpus=vcpus, memory_mib=memory_mib, pools=(placement_facts.POOL,), now_s=placement_facts.NOW_S)
        decision = place(self._table, want, STORAGE_CPU)
        if decision.chosen is None:
            return None
        self._table.claim(decision.chosen.host_id, want)
        return self._numbers[decision.chosen.host_id]

    def give_back(self, number: int, vcpus: int, memory_mib: int) -> None:
        """A VM has left the host."""
        host = self._table.facts(self._ids[number])
        left = host.allocated_vcpus - vcpus, host.allocated_memory_mib - memory_mib
        self._table.put(
            replace(host, allocated_vcpus=left[0], allocated_memory_mib=left[1], vm_count=host.vm_count - 1)
        )


class Classic:
    """One of the classics."""

    def __init__(self, rule: Rule, hosts: int) -> None:
        self._vcpus, self._memory = np.full(hosts, float(VCPUS)), np.full(hosts, float(MEMORY_MIB))
        self._rule = rule

    def take(self, vcpus: int, memory_mib: int) -> int | None:
        """As Ours.take."""
        fits = np.nonzero((self._vcpus >= vcpus) & (self._memory >= memory_mib))[0]
        if not len(fits):
            return None
        number = int(fits[self._rule(self._vcpus[fits], self._memory[fits]).argmax()])
        self.give_back(number, -vcpus, -memory_mib)
        return number

    def give_back(self, number: int, vcpus: int, memory_mib: int) -> None:
        """As Ours.give_back."""
        self._vcpus[number] += vcpus
        self._memory[number] += memory_mib


def run() -> Iterator[Comparison]:
    """All comparisons; none, and a word about it, where there is no trace."""
    replayed = trace.from_environment()
    if isinstance(replayed, str):
        print(f"packing: {replayed}", file=sys.stderr)
        return
    vcpus, memory_mib = replayed.peaks()
    bound, n = max(-(-vcpus // VCPUS), -(-memory_mib // MEMORY_MIB)), len(replayed.vms)
    few = int(bound * FEW)
    ours = _needed(replayed, bound, lambda hosts: Ours(_hosts(hosts)))
    accepted = _replay(replayed, Ours(_hosts(few))).share_accepted
    yield _hosts_beside("the area bound", ours, bound, AIM_HOSTS, n)
    yield _accepted_beside("all that was asked", few, accepted, 1.0, AIM_ACCEPTED, n)
    for name, rule in CLASSICS.items():
        theirs = _needed(replayed, bound, partial(Classic, rule))
        yield _hosts_beside(name, ours, theirs, 1.0, n)
        yield _accepted_beside(name, few, accepted, _replay(replayed, Classic(rule, few)).share_accepted, 1.0, n)
    yield from _with_trouble(replayed, ours)


def _hosts_beside(whom: str, ours: int, theirs: int, aim: float, n: int) -> Comparison:
    return Comparison("packing", f"hosts that nobody is refused on, and {whom}", "hosts", ours, theirs, "lower", aim, n)


def _accepted_beside(whom: str, few: int, ours: float, theirs: float, aim: float, n: int) -> Comparison:
    return Comparison("packing", f"accepted on {few} hosts, and {whom}", "of GiB·h", ours, theirs, "higher", aim, n)


def _with_trouble(replayed: Trace, ours: int) -> Iterator[Comparison]:
    n = len(replayed.vms)
    needed = _needed(replayed, ours, lambda hosts: Ours(_troubled(hosts)))
    told = f"{CONTENDED:.0%} of the hosts contended"
    yield Comparison("packing", f"hosts, {told}, and none", "hosts", needed, ours, "lower", AIM_MORE_HOSTS, n)
    contended = placement_facts.some(needed, CONTENDED, SEED)
    share, fair = _replay(replayed, Ours(_troubled(needed))).share_on(contended), len(contended) / needed
    yield Comparison("packing", "VMs on contended hosts, and their share", "of VMs", share, fair, "lower", AIM_SHARE, n)


def _hosts(count: int) -> list[HostFacts]:
    return [placement_facts.host(number, vcpus=VCPUS, memory_mib=MEMORY_MIB) for number in range(count)]


def _troubled(count: int) -> list[HostFacts]:
    return placement_facts.stirred(_hosts(count), placement_facts.some(count, CONTENDED, SEED), SEED)


def _needed(replayed: Trace, least: int, cloud: Callable[[int], Ours | Classic]) -> int:
    """The smallest number of hosts, from `least` on, on which nobody is refused."""
    hosts = least
    while _replay(replayed, cloud(hosts), patient=False).refusals:
        hosts += 1
    return hosts


def _replay(replayed: Trace, cloud: Ours | Classic, *, patient: bool = True) -> Outcome:
    """All events; without patience only until the first refusal."""
    outcome = Outcome()
    placed: dict[int, int] = {}
    for event in replayed.events:
        vm = replayed.vms[event.number]
        if not event.comes:
            if (number := placed.pop(event.number, None)) is not None:
                cloud.give_back(number, vm.vcpus, vm.memory_mib)
            continue
        number = cloud.take(vm.vcpus, vm.memory_mib)
        if number is None:
            outcome.refused += replayed.gib_hours(event.number)
            outcome.refusals += 1
            if not patient:
                break
            continue
        placed[event.number] = number
        outcome.on[number] = outcome.on.get(number, 0) + 1
        outcome.accepted += replayed.gib_hours(event.number)
    return outcome
