"""A trace of VM requests: who asked for how much, from when to when."""

from __future__ import annotations

import csv
import gzip
import itertools
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Asked:
    """One VM. `end_s` None: it was still there at the trace's end."""

    batch: str
    begin_s: float
    end_s: float | None
    vcpus: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Event:
    """A VM comes, or it goes; `number` is its place in the trace."""

    comes: bool
    number: int


@dataclass(frozen=True, slots=True)
class Trace:
    """VMs by the time at which they came, and the events in their order: at one moment, who goes makes room first."""

    vms: tuple[Asked, ...]
    events: tuple[Event, ...]

    def gib_hours(self, number: int) -> float:
        """What a VM takes up, until the last arrival at most."""
        vm, end_s = self.vms[number], self.vms[-1].begin_s
        return vm.memory_mib / 1024 * (min(end_s, vm.end_s if vm.end_s is not None else end_s) - vm.begin_s) / 3600

    def peaks(self) -> tuple[int, int]:
        """The most vCPUs and the most MiB that were there at once."""
        vcpus = itertools.accumulate(self.vms[one.number].vcpus * (1 if one.comes else -1) for one in self.events)
        memory = itertools.accumulate(self.vms[one.number].memory_mib * (1 if one.comes else -1) for one in self.events)
        return max(vcpus), max(memory)


def from_environment() -> Trace | str:
    """The trace that TRACE names (a .csv.gz), or why there is none.

    TRACE_WITHOUT=file leaves out that file's batches; TRACE_PART=3/10 takes every tenth batch from the third on.
    """
    path = os.environ.get("TRACE")
    if not path:
        return "TRACE=file.csv.gz is not set: there is no trace to replay"
    if not Path(path).is_file():
        return f"TRACE={path} is not there"
    other = os.environ.get("TRACE_WITHOUT")
    without = {vm.batch for vm in _read(Path(other))} if other else set()
    vms = [vm for vm in _read(Path(path)) if vm.batch not in without]
    part, _, parts = os.environ.get("TRACE_PART", "1/1").partition("/")
    return made_of(_part(vms, int(part), int(parts)))


def made_of(vms: Collection[Asked]) -> Trace:
    """The events of these VMs."""
    ordered = tuple(sorted(vms, key=lambda vm: vm.begin_s))
    comes = [(vm.begin_s, 1, number) for number, vm in enumerate(ordered)]
    goes = [(vm.end_s, 0, number) for number, vm in enumerate(ordered) if vm.end_s is not None]
    return Trace(ordered, tuple(Event(comes == 1, number) for _, comes, number in sorted(comes + goes)))


def _read(path: Path) -> Iterator[Asked]:
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            end = float(row["t_end_s"]) if row["t_end_s"] else None
            yield Asked(row["batch"], float(row["t_create_s"]), end, int(row["vcpu"]), round(float(row["mem_mib"])))


def _part(vms: list[Asked], part: int, parts: int) -> list[Asked]:
    """Batches stay whole."""
    batches = list(dict.fromkeys(vm.batch for vm in vms))
    taken = set(batches[part - 1 :: parts])
    return [vm for vm in vms if vm.batch in taken]
