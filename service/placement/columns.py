"""The host table as columns, and a view of some of its rows: what masks and scorers calculate with."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat
from math import inf
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.placement.facts import NOTHING, HostFacts, VmRequest
from service.placement.scorers import HOST_SCORERS, NO_DATA

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_INVALID: list[float] = []


def _column(*, invalid: float) -> int:
    """Return the number of the next column of the matrix; `invalid` is its value for a host with invalid facts."""
    _INVALID.append(invalid)
    return len(_INVALID) - 1


# Columns of the matrix. Whole numbers below 2^53 are exact in it. masks.py compares the first four at once: migrations
# need the second to the fourth, all other requests the first three.
OLDEST = _column(invalid=inf)  # epoch seconds of the older observation, of the host or its storage
FREE_VCPUS = _column(invalid=1e15)
FREE_MEMORY = _column(invalid=1e15)
OBSERVED = _column(invalid=inf)
USABLE_VCPUS = _column(invalid=1)
USABLE_MEMORY = _column(invalid=1)
LOCAL_DISK = _column(invalid=1e18)
MIGRATIONS = _column(invalid=0)
VM_COUNT = _column(invalid=0)
STORAGE_OBSERVED = _column(invalid=inf)
COUNTED = _column(invalid=0)  # 1: part of the cloud's sums
CPU_IDLE = _column(invalid=0)
CPU_PER_VCPU = _column(invalid=0)
KIND = _column(invalid=0)
SCORES = len(_INVALID)  # and those after it: scores of the host alone, in millionths
COLUMNS = SCORES + len(HOST_SCORERS)
# Row of a host with invalid facts: numeric filters pass it (`sane_facts` rejects it), sums leave it out.
INVALID_ROW = (*_INVALID, *[0.0] * len(HOST_SCORERS))
MOST_PROJECTS = 256  # with a column of their own


class Columns:
    """The table's arrays, one entry per host; written by HostTable alone."""

    __slots__ = ("by_host", "members", "numbers", "project_vms", "projects", "reads", "row_of", "vms_of")

    def __init__(self, hosts: int) -> None:
        self.by_host: Floats = np.zeros((hosts, COLUMNS))  # a host's numbers lie side by side: few hosts are looked at
        self.numbers: Floats = self.by_host.T  # the same, by column
        self.reads: dict[str, Floats] = {}  # pool → share read locally
        self.projects: dict[str, dict[int, int]] = {}  # project id → row → its VMs there
        self.vms_of: dict[str, Floats] = {}  # as `projects`, as columns: of those that were asked for
        self.project_vms: dict[str, int] = {}  # project id → its VMs on all hosts
        self.members: dict[str, dict[int, int]] = {}  # placement group id → row → its VMs there
        self.row_of: dict[str, int] = {}  # host id → row

    def copy(self) -> Columns:
        """Another one with the same content."""
        twin = Columns(0)
        twin.by_host = self.by_host.copy()
        twin.numbers = twin.by_host.T
        twin.reads = {pool: shares.copy() for pool, shares in self.reads.items()}
        twin.projects = {project: dict(rows) for project, rows in self.projects.items()}
        twin.project_vms = dict(self.project_vms)
        twin.members = {group: dict(rows) for group, rows in self.members.items()}
        twin.row_of = dict(self.row_of)
        return twin

    def claim(self, row: int, want: VmRequest) -> None:
        """One VM more."""
        numbers = self.by_host[row]
        numbers[FREE_VCPUS] -= want.vcpus
        numbers[FREE_MEMORY] -= want.memory_mib
        numbers[VM_COUNT] += 1
        if want.project_id is not None:
            _one_more(self.projects.setdefault(want.project_id, {}), row)
            _one_more(self.project_vms, want.project_id)
            if want.project_id in self.vms_of:
                self.vms_of[want.project_id][row] += 1
        for rule in want.rules:
            _one_more(self.members.setdefault(rule.group_id, {}), row)

    def count(self, row: int, host: HostFacts, before: HostFacts | None) -> None:
        """Keep the counts per project and per placement group."""
        if before is None or before.projects is not host.projects:
            old = before.projects if before else NOTHING
            _recount(self.projects, row, old, host.projects)
            self._sum_projects(row, old, host.projects)
        if before is None or before.members is not host.members:
            _recount(self.members, row, before.members if before else NOTHING, host.members)

    def _sum_projects(self, row: int, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        sums, columns = self.project_vms, self.vms_of
        for project in before.keys() | after.keys():
            sums[project] = sums.get(project, 0) + after.get(project, 0) - before.get(project, 0)
            if not sums[project]:
                del sums[project]
            if project in columns:
                columns[project][row] = after.get(project, 0)


class Hosts:
    """A view of some rows (all of them when `rows` is None)."""

    __slots__ = ("_columns", "_rows", "count", "numbers")

    def __init__(self, columns: Columns, rows: Ints | None) -> None:
        self._columns = columns
        self._rows = rows
        by_host = columns.by_host if rows is None else columns.by_host.take(rows, axis=0)
        self.numbers: Floats = by_host.T
        self.count = len(by_host)

    def column(self, number: int) -> Floats:
        """One of the numbers. What is free may be negative: what is promised stays promised when a host shrinks.
        What is usable is at least 1, to divide by."""
        column: Floats = self.numbers[number]
        return column

    def oldest_at_s(self, want: VmRequest) -> Floats:
        """When the oldest facts that matter were seen. −∞: never; +∞: it does not matter, the facts are nonsense.
        A VM that moves goes on without the storage's: it writes nothing new."""
        return self.column(OBSERVED if want.moves else OLDEST)

    @property
    def rows(self) -> Ints:
        """The rows' numbers."""
        return np.arange(self.count) if self._rows is None else self._rows

    @property
    def kinds(self) -> Ints:
        """Numbers of what the hosts are."""
        kinds: Ints = self.numbers[KIND].astype(np.int64)
        return kinds

    @property
    def scores(self) -> Floats:
        """Of the hosts alone, in millionths: a row per host, a column per scorer."""
        scores: Floats = self.numbers[SCORES:].T
        return scores

    def none(self) -> Flags:
        """None of them."""
        return np.zeros(self.count, bool)

    def are(self, host_ids: frozenset[str]) -> Flags:
        """Which of them are among these."""
        named = [self._columns.row_of[one] for one in host_ids if one in self._columns.row_of]
        return np.isin(self.rows, named)

    def local_reads(self, pool: str) -> Floats | float:
        """Share of the pool's PGs with a copy here; NO_DATA where it is not known."""
        shares = self._columns.reads.get(pool)
        if shares is None:
            return NO_DATA
        return shares if self._rows is None else shares.take(self._rows)

    def vms_of_project(self, project_id: str) -> Floats:
        """How many VMs of the project run there."""
        counts = self._columns.vms_of.get(project_id)
        if counts is None:
            counts = Hosts(self._columns, None)._counted(self._columns.projects.get(project_id, {}))
            if len(self._columns.vms_of) >= MOST_PROJECTS:
                self._columns.vms_of.clear()
            self._columns.vms_of[project_id] = counts
        return counts if self._rows is None else counts.take(self._rows)

    def members(self, group_id: str, want: VmRequest) -> Floats:
        """How many other members of the placement group run there: a VM that moves does not count itself."""
        counts = self._counted(self._columns.members.get(group_id, {}))
        return np.maximum(0.0, counts - self.are(want.excluded_hosts)) if want.moves else counts

    def _counted(self, counts: Mapping[int, int]) -> Floats:
        if self._rows is not None:
            return np.array([*map(counts.get, self._rows.tolist(), repeat(0))], float)
        column = np.zeros(self.count)
        column[list(counts)] = list(counts.values())
        return column


def _recount(counts: dict[str, dict[int, int]], row: int, before: Mapping[str, int], after: Mapping[str, int]) -> None:
    for name in before.keys() - after.keys():
        del counts[name][row]
        if not counts[name]:
            del counts[name]
    for name, count in after.items():
        counts.setdefault(name, {})[row] = count


def _one_more(counts: dict[Any, int], what: Any) -> None:
    counts[what] = counts.get(what, 0) + 1
