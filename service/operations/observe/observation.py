"""What one look at a host tells, and what of it is worth writing down: numbers in, plain facts out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from service.facts import codec
from service.facts.fact import facts_of, names_of
from service.facts.host import HostHardware, HostLoad
from service.hypervisor.contract import DomainState, HypervisorFacts
from service.hypervisor.host_backoff import Remembered
from service.hypervisor.values import HostCounters
from service.json_types import Json, JsonObject

UNITS: Mapping[str, str] = {one.name: one.about.unit for kind in (HostLoad, HostHardware) for one in facts_of(kind)}
NOISY = frozenset(one.name for kind in (HostLoad, HostHardware) for one in facts_of(kind) if one.about.noisy)
SHARES = frozenset(one.name for one in facts_of(HostLoad) if one.about.unit == "share")
COUNTED = tuple(one.name for one in fields(HostCounters) if one.name in names_of(HostLoad))  # loads as counted
SIZE_STEP = 0.01  # of a size, of what it was
STEPS: Mapping[str, float] = {"share": 0.02, "epoch_s": 60.0}  # by unit; a fact that moved by less is the same
DIGITS = 4
NO_NUMBER = -1  # JSON has no word for NaN


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host said. `facts` only when it was time to ask what it is made of."""

    domains: tuple[DomainState, ...]
    counters: HostCounters
    facts: HypervisorFacts | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at one host: what it answered to what was asked at `seen_at`, or why there was no answer."""

    seen_at: datetime
    answer: Answer | None
    problem: str | None = None


Sights = Sequence[tuple[str, Sight]]  # host id, what was seen


def guests_s(domains: tuple[DomainState, ...]) -> dict[str, float]:
    """CPU seconds of every guest, by VM id."""
    return {domain.vm_id: domain.cpu_time_s for domain in domains}


def loads(before: Remembered, now: HostCounters, guests: Mapping[str, float], vcpus: int) -> dict[str, float | None]:
    """Shares of the CPUs that the inventory grants (at most those that are there), each 0 to 1, since the look before.

    `cpu_load` is all work, `guest_cpu_load` that of QEMU, `ceph_cpu` the rest: on a hyperconverged host its OSDs.
    None at the first look; NO_NUMBER when the host counts nonsense.
    """
    last, cpus = before.counters, min(now.cpus, vcpus)
    if last is None or now.total_s <= last.total_s or now.busy_s < last.busy_s or cpus < 1:
        return dict.fromkeys(sorted(SHARES))
    capacity_s, busy_s = (now.total_s - last.total_s) * cpus / now.cpus, now.busy_s - last.busy_s
    known = before.guests_s or {}
    # A guest that came meanwhile began at zero; one that ended took its counter with it.
    guests_s = sum(max(0.0, used_s - known.get(vm_id, 0.0)) for vm_id, used_s in guests.items())
    if not all(map(math.isfinite, (capacity_s, busy_s, guests_s, *guests.values()))):
        return dict.fromkeys(sorted(SHARES), float(NO_NUMBER))
    burnt_s = min(busy_s, guests_s)
    return {
        "cpu_load": _share(busy_s, capacity_s),
        "guest_cpu_load": _share(burnt_s, capacity_s),
        "ceph_cpu": _share(busy_s - burnt_s, capacity_s),
    }


def _share(used_s: float, capacity_s: float) -> float:
    return round(min(1.0, used_s / capacity_s), DIGITS)


def facts(before: Remembered, seen: Answer, *, vcpus: int, memory_mib: int) -> JsonObject:
    """What a decision and people want to know of the host now; `vcpus` and `memory_mib` are the inventory's.

    What is no number becomes NO_NUMBER, and what is negative stays so: no decision believes either.
    """
    counters, domains = seen.counters, seen.domains
    load = HostLoad(
        domains=len(domains),
        used_vcpus=sum(domain.vcpus for domain in domains),
        used_memory_mib=sum(domain.memory_mib for domain in domains),
    )
    counted = {name: _counted(name, getattr(counters, name), memory_mib) for name in COUNTED}
    return {**codec.encode(load), **loads(before, counters, guests_s(domains), vcpus), **counted}


def _counted(name: str, number: Json, memory_mib: int) -> Json:
    """Return the number; sizes of memory at most what the inventory grants."""
    if number is None:
        return None
    if not math.isfinite(number):
        return NO_NUMBER
    return min(number, memory_mib) if UNITS[name] == "mib" else number


def hardware(facts: HypervisorFacts, before: Mapping[str, Json] | None = None) -> JsonObject:
    """Return what `host.hardware` stores. A noisy instant stays as it was `before` unless it moved."""
    document = codec.encode(facts, HostHardware)
    instants = [name for name in document if name in NOISY and UNITS[name] == "epoch_s"]
    same = [name for name in instants if before and name in before and not _moved(name, before[name], document[name])]
    return document | {name: (before or {})[name] for name in same}


def differs(before: Mapping[str, Json] | None, after: Mapping[str, Json]) -> bool:
    """Whether anything is another than it was, beyond what rounding explains."""
    if before is None or before.keys() != after.keys():
        return True
    return any(_moved(name, before[name], value) for name, value in after.items())


def _moved(name: str, before: Json, after: Json) -> bool:
    if name not in NOISY or not _is_number(before) or not _is_number(after):
        return bool(before != after)
    step = STEPS.get(UNITS[name], SIZE_STEP * max(abs(before), 1))
    # A host that has become idle gets a zero: otherwise the last bit of a load would stay for ever.
    return bool(abs(before - after) > step or (after == 0) != (before == 0))


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float)
