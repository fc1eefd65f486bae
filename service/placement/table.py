"""All hosts as columns, kept up to date row by row. Rows are in the order of the hosts' names.

A ranking of the hosts for a request is remembered here: the next request of the same shape looks only at the rows that
changed since. Not safe for several threads at once: its owner has a lock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from math import inf, isfinite, isnan
from typing import Any

import numpy as np

from service.placement.check import nonsense
from service.placement.columns import (
    COUNTED,
    FREE_MEMORY,
    FREE_VCPUS,
    INVALID_ROW,
    KIND,
    OBSERVED,
    OLDEST,
    STORAGE_OBSERVED,
    USABLE_MEMORY,
    USABLE_VCPUS,
    Columns,
)
from service.placement.facts import HostFacts, VmRequest
from service.placement.filters import Cloud
from service.placement.host_row import numbers_of, with_vm
from service.placement.scorers import NO_DATA

MOST_CHANGES = 1000  # that are remembered beside two per host
HOMES_TOLD = 6
Kind = tuple[Any, ...]


class HostTable:
    """Facts of hosts, and what is calculated from them once per change."""

    def __init__(self, hosts: Iterable[HostFacts] = ()) -> None:
        self.rankings: OrderedDict[Hashable, Any] = OrderedDict()  # of ranking.py, the last used at the end
        self._load(hosts)

    def _load(self, hosts: Iterable[HostFacts]) -> None:
        self._facts = sorted(hosts, key=lambda host: host.name)
        self.columns = Columns(len(self._facts))
        self.columns.row_of = {host.host_id: row for row, host in enumerate(self._facts)}
        self.kinds: list[HostFacts | None] = [None]  # by number, the first host of each; 0: facts are nonsense
        self._kind_numbers: dict[Kind, int] = {}
        self.changed: list[int] = []  # rows, as they changed; `forgotten` more were before them
        self.forgotten = 0
        self.ages = 0  # counts the times that many ages moved at once
        self._moved: set[int] = set()  # rows whose ages are newer than their facts
        self._claims: dict[int, list[VmRequest]] = {}  # rows whose facts do not hold these yet
        self.rankings.clear()
        for row, host in enumerate(self._facts):
            self._write(row, host, None)

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, host_id: str) -> bool:
        return host_id in self.columns.row_of

    def copy(self) -> HostTable:
        """Another table with the same content, that shares nothing which changes."""
        twin = HostTable()
        twin._facts, twin.columns = list(self._facts), self.columns.copy()
        twin.kinds, twin._kind_numbers, twin._moved = list(self.kinds), dict(self._kind_numbers), set(self._moved)
        twin._claims = {row: list(wants) for row, wants in self._claims.items()}
        return twin

    def hosts(self) -> list[HostFacts]:
        """Every host's facts, by name."""
        return [self.at(row) for row in range(len(self._facts))]

    def facts(self, host_id: str) -> HostFacts:
        """What is known of a host. Raises KeyError."""
        return self.at(self.columns.row_of[host_id])

    def at(self, row: int) -> HostFacts:
        """What is known of the host in a row."""
        host = self._facts[row]
        if row in self._moved:
            self._moved.discard(row)
            seen_at_s, storage_at_s = self.columns.by_host[row, [OBSERVED, STORAGE_OBSERVED]].tolist()
            host = replace(
                host, observed_at_s=seen_at_s, storage_observed_at_s=None if storage_at_s == inf else storage_at_s
            )
        for want in self._claims.pop(row, ()):
            host = with_vm(host, want)
        self._facts[row] = host
        return host

    def label(self, row: int) -> tuple[str, str]:
        """The id and the name of the host in a row."""
        host = self._facts[row]
        return host.host_id, host.name

    def put(self, host: HostFacts) -> None:
        """A new host, or new facts of one."""
        row = self.columns.row_of.get(host.host_id)
        too_many_kinds = len(self.kinds) > len(self._facts) + MOST_CHANGES
        if row is None or self._facts[row].name != host.name or too_many_kinds:
            self._load([*(one for one in self.hosts() if one.host_id != host.host_id), host])
            return
        before, self._facts[row] = self.at(row) if row in self._claims else self._facts[row], host
        self._moved.discard(row)
        self._write(row, host, before)
        self._note(row)

    def remove(self, host_id: str) -> None:
        """The host is gone; silent when it was not there."""
        if host_id in self.columns.row_of:
            self._load([one for one in self.hosts() if one.host_id != host_id])

    def observed(self, ages: Mapping[str, tuple[float, float | None]]) -> None:
        """Host id → when it and its storage were last seen (epoch), for many hosts whose other facts stay."""
        rows, times = [], []
        for host_id, (seen_at_s, storage_seen_at_s) in ages.items():
            row, storage_s = self.columns.row_of[host_id], inf if storage_seen_at_s is None else storage_seen_at_s
            if not self.columns.by_host[row, KIND] or not isfinite(seen_at_s) or isnan(storage_s):
                host = self.at(row)
                self.put(replace(host, observed_at_s=seen_at_s, storage_observed_at_s=storage_seen_at_s))
                continue
            rows.append(row)
            times.append((min(seen_at_s, storage_s), seen_at_s, storage_s))
        if rows:
            self.columns.by_host[np.ix_(rows, (OLDEST, OBSERVED, STORAGE_OBSERVED))] = times
            self._moved.update(rows)
            self.ages += 1

    def claim(self, host_id: str, want: VmRequest) -> None:
        """The VM holds its share of the host from now on."""
        row = self.columns.row_of[host_id]
        self._claims.setdefault(row, []).append(want)
        self.columns.claim(row, want)
        self._note(row)

    def know_pools(self, want: VmRequest) -> None:
        """Keep a column of the local reads of every pool that is asked for."""
        for pool in want.pools:
            if pool.name not in self.columns.reads:
                shares = [self._reads(row, pool.name) for row in range(len(self._facts))]
                self.columns.reads[pool.name] = np.array(shares, float)

    def cloud(self, want: VmRequest) -> Cloud:
        """What the request has to know of all hosts together."""
        homes = {rule.group_id: found for rule in want.rules if (found := self._homes(rule.group_id, want))}
        project_vms = self.columns.project_vms.get(want.project_id, 0) if want.project_id else 0
        project_vms = 1 << project_vms.bit_length() - 1 if project_vms else 0
        if not want.keep_room:
            return Cloud(homes=homes, project_vms=project_vms)
        numbers = self.columns.numbers
        counted = numbers[COUNTED]
        return Cloud(
            free_vcpus=int(numbers[FREE_VCPUS] @ counted),
            free_memory_mib=int(numbers[FREE_MEMORY] @ counted),
            largest_vcpus=int((numbers[USABLE_VCPUS] * counted).max(initial=0)),
            largest_memory_mib=int((numbers[USABLE_MEMORY] * counted).max(initial=0)),
            homes=homes,
            project_vms=project_vms,
        )

    def _homes(self, group_id: str, want: VmRequest) -> tuple[str, ...]:
        counts = self.columns.members.get(group_id, {})
        left = {self.columns.row_of.get(host_id) for host_id in want.excluded_hosts} if want.moves else set()
        rows = sorted(row for row, members in counts.items() if members > (row in left))
        return tuple(self._facts[row].name for row in rows[:HOMES_TOLD])

    def _write(self, row: int, host: HostFacts, before: HostFacts | None) -> None:
        """Calculate the row again."""
        self.columns.by_host[row] = INVALID_ROW if nonsense(host) else numbers_of(host, self._kind(host))
        for pool, shares in self.columns.reads.items():
            shares[row] = self._reads(row, pool)
        self.columns.count(row, host, before)

    def _reads(self, row: int, pool: str) -> float:
        seen = self._facts[row].storage
        if seen is None or not self.columns.by_host[row, KIND]:
            return NO_DATA
        return seen.local_reads.get(pool, 0.0)

    def _kind(self, host: HostFacts) -> int:
        is_unreachable, hardware = bool(host.problem), host.hardware
        kind = (
            host.state, host.virt_type, is_unreachable, hardware.firmwares, hardware.cpu_features, hardware.bridges,
            host.host_groups,
        )  # fmt: skip
        number = self._kind_numbers.setdefault(kind, len(self.kinds))
        if number == len(self.kinds):
            self.kinds.append(host)
        return number

    def _note(self, row: int) -> None:
        """Rankings look at this row again. What is so old that it is cheaper to look at all rows is forgotten."""
        self.changed.append(row)
        if len(self.changed) > 2 * len(self._facts) + MOST_CHANGES:
            half = len(self.changed) // 2
            del self.changed[:half]
            self.forgotten += half
