"""What all hosts are worth to one kind of request, kept current: only rows that changed are looked at again."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from service.placement import masks
from service.placement.columns import SCORES, Flags, Floats, Hosts, Ints
from service.placement.facts import VmRequest
from service.placement.filters import Cloud
from service.placement.policy import Policy
from service.placement.scorers import HOST_SCORERS, MILLION
from service.placement.scorers_vm import VM_SCORERS
from service.placement.table import HostTable

MOST_NUMBERS = 8 << 20  # in all rankings of a table, 8 bytes each; the least used go first
FEWEST_RANKINGS = 32
RULED_OUT = -1.0
HOST_NAMES, VM_NAMES = tuple(HOST_SCORERS), tuple(VM_SCORERS)


class Ranking:
    """Scores and reasons of every row for requests of one shape, by one policy. Scores are whole numbers in floats."""

    def __init__(self, table: HostTable, policy: Policy) -> None:
        weights = policy.whole_weights
        self._table = table
        of_host = [name for name in HOST_NAMES if name in weights]
        of_vm = [name for name in VM_NAMES if name in weights]
        self.names = (*of_host, *of_vm)
        self._host_rows = [SCORES + HOST_NAMES.index(name) for name in of_host]
        self._host_weights = np.array([weights.get(name, 0) for name in HOST_NAMES], float)
        self._scorers = tuple(VM_SCORERS[name] for name in of_vm)
        self._vm_weights = np.array([weights[name] for name in of_vm], float)
        self._seen = -1  # changes of the table that are in here
        self._ages = -1
        self._judged_s = 0.0
        self._oldest_s = 0.0  # no trusted facts are older
        self._of_kinds: Ints = np.zeros(0, np.int64)

    def refresh(self, want: VmRequest, cloud: Cloud) -> None:
        """Take in what changed since. `want` is of this ranking's shape."""
        table = self._table
        self._know_kinds(want, cloud)
        missed = self._seen - table.forgotten
        changed = set(table.changed[missed:]) if missed >= 0 else None
        if changed is not None and self._may_have_aged(want):
            changed |= self._aged(want)
        if changed is None or 4 * len(changed) > len(table):
            self._judge_all(want, cloud)
        elif changed:
            self._judge(np.fromiter(changed, np.int64, len(changed)), want, cloud)
        self._seen = table.forgotten + len(table.changed)
        self._judged_s = want.now_s

    def best(self, count: int) -> list[int]:
        """The rows that score best, best first; of equals the first by name."""
        scores = self.scores
        found: list[tuple[int, float]] = []
        while len(found) < min(count, len(scores)):
            row = int(scores.argmax())
            if (score := float(scores[row])) < 0:
                break
            found.append((row, score))
            scores[row] = RULED_OUT
        for row, score in found:
            scores[row] = score
        return [row for row, _ in found]

    def terms_of(self, rows: list[int]) -> list[list[float]]:
        """For each row, the terms that `names` lists."""
        of_hosts = self._table.columns.by_host.take(rows, axis=0).take(self._host_rows, axis=1)
        both = np.concatenate((of_hosts, self.terms.take(rows, axis=0)), axis=1)
        terms: list[list[float]] = (both / MILLION).tolist()
        return terms

    def _know_kinds(self, want: VmRequest, cloud: Cloud) -> None:
        kinds, known = self._table.kinds, len(self._of_kinds)
        if known < len(kinds):
            more = [masks.of_kind(host, want, cloud) for host in kinds[known:]]
            self._of_kinds = np.append(self._of_kinds, np.array(more, np.int64))

    def _may_have_aged(self, want: VmRequest) -> bool:
        is_old = self._oldest_s < want.now_s - want.max_facts_age_s
        return is_old or self._ages != self._table.ages or want.now_s < self._judged_s

    def _aged(self, want: VmRequest) -> set[int]:
        """Rows whose facts came to be trusted, or no longer are, though nothing else about them changed."""
        hosts = Hosts(self._table.columns, None)
        not_fresh = self._note_ages(hosts, want) | ((self._of_kinds.take(hosts.kinds) & masks.NOT_FRESH) != 0)
        return set(np.nonzero(not_fresh != ((self.against & masks.NOT_FRESH) != 0))[0].tolist())

    def _note_ages(self, hosts: Hosts, want: VmRequest) -> Flags:
        stale = masks.stale(hosts, want)
        self._oldest_s = float(hosts.oldest_at_s(want).min(where=~stale, initial=np.inf))
        self._ages = self._table.ages
        return stale

    def _judge_all(self, want: VmRequest, cloud: Cloud) -> None:
        hosts = Hosts(self._table.columns, None)
        self._note_ages(hosts, want)
        self.against = masks.against(hosts, want, cloud, self._of_kinds)
        self.counts = masks.count(self.against)
        self.terms = self._terms(hosts, want, cloud)
        self.scores = self._scores(hosts, self.terms, self.against)

    def _judge(self, rows: Ints, want: VmRequest, cloud: Cloud) -> None:
        hosts = Hosts(self._table.columns, rows)
        before, against = self.against.take(rows), masks.against(hosts, want, cloud, self._of_kinds)
        if before.tobytes() != against.tobytes():
            changed = before != against
            self.counts += masks.count(against[changed]) - masks.count(before[changed])
            self.against[rows] = against
        terms = self._terms(hosts, want, cloud)
        self.terms[rows] = terms
        self.scores[rows] = self._scores(hosts, terms, against)
        self._oldest_s = min(self._oldest_s, *hosts.oldest_at_s(want).tolist())

    def _terms(self, hosts: Hosts, want: VmRequest, cloud: Cloud) -> Floats:
        """In millionths: a row per host, a column per scorer that knows the VM."""
        terms = np.empty((hosts.count, len(self._scorers)))
        for number, score in enumerate(self._scorers):
            terms[:, number] = score(hosts, want, cloud)
        np.multiply(terms, MILLION, out=terms)
        return np.rint(terms, out=terms)

    def _scores(self, hosts: Hosts, terms: Floats, against: Ints) -> Floats:
        """Whole numbers below 2^53: exact in whatever order they are summed up."""
        scores: Floats = hosts.scores.dot(self._host_weights) + terms.dot(self._vm_weights)
        scores[against != 0] = RULED_OUT
        return scores


def ranking_of(table: HostTable, want: VmRequest, policy: Policy, cloud: Cloud) -> Ranking:
    """The table's current ranking of requests like this one: made, or brought up to date."""
    key = _shape(want, policy, cloud)
    ranking: Ranking | None = table.rankings.get(key)
    if ranking is None:
        table.know_pools(want)
        ranking = table.rankings[key] = Ranking(table, policy)
        most = max(FEWEST_RANKINGS, MOST_NUMBERS // (len(table) * (len(VM_NAMES) + 2) + 1))
        while len(table.rankings) > most:
            table.rankings.popitem(last=False)
    table.rankings.move_to_end(key)
    ranking.refresh(want, cloud)
    return ranking


def _shape(want: VmRequest, policy: Policy, cloud: Cloud) -> Hashable:
    """All of a request that tells hosts apart. The moment does not; a pool's fullness is the same for all hosts."""
    return (
        policy.hash, want.vcpus, want.memory_mib, tuple([pool.name for pool in want.pools]), want.virt_type,
        want.cpu_features, want.bridges, want.firmware, want.local_disk_bytes, want.excluded_hosts, want.only_host,
        want.host_groups, want.project_id, want.rules, want.moves, want.max_migrations, want.max_facts_age_s,
        tuple(cloud.homes), cloud.project_vms,
    )  # fmt: skip
