"""The filters' questions, asked of many hosts at once: a bit per filter and host, set where it rules the host out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from service.placement import filters
from service.placement.columns import LOCAL_DISK, MIGRATIONS, OBSERVED, OLDEST, Flags, Floats, Hosts, Ints
from service.placement.facts import HostFacts, VmRequest
from service.placement.filters import NAMES, SANE, Cloud

BIT: Mapping[str, int] = {name: 1 << number for number, name in enumerate(NAMES)}
INSANE = BIT[SANE]
NOT_FRESH = BIT["fresh_facts"]
NUMBERS = np.arange(len(NAMES))
# What every request needs, in the order of the columns: facts that are fresh, vCPUs and memory.
NEEDS_BITS: Floats = np.array([NOT_FRESH, BIT["vcpus"], BIT["memory"]], float)
MOVE_BITS: Floats = np.array([BIT["vcpus"], BIT["memory"], NOT_FRESH], float)

Mask = Callable[[Hosts, VmRequest, Cloud], Flags]


def against(hosts: Hosts, want: VmRequest, cloud: Cloud, of_kinds: Ints) -> Ints:
    """The bits of what is against each host, but for what is against all (filters.OF_ALL)."""
    bits = of_kinds.take(hosts.kinds) | _short(hosts, want)
    for name in asked(want):
        bits |= RARE[name](hosts, want, cloud) * BIT[name]
    return bits


def _short(hosts: Hosts, want: VmRequest) -> Ints:
    """The bits of the columns that are below what is needed of them."""
    oldest_s, vcpus, memory_mib = want.now_s - want.max_facts_age_s, want.vcpus, want.memory_mib
    if want.moves:
        short = hosts.numbers[OLDEST + 1 : OBSERVED + 1] < _standing(vcpus, memory_mib, oldest_s)
    else:
        short = hosts.numbers[OLDEST:OBSERVED] < _standing(oldest_s, vcpus, memory_mib)
    bits: Ints = (MOVE_BITS if want.moves else NEEDS_BITS).dot(short.astype(float)).astype(np.int64)
    return bits


def _standing(*numbers: float) -> Floats:
    return np.array(numbers, float)[:, None]


def of_kind(host: HostFacts | None, want: VmRequest, cloud: Cloud) -> int:
    """The bits that all hosts of this host's kind have in common; None stands for those with nonsense facts."""
    if host is None:
        return INSANE
    bits = sum(BIT[name] for name, check in filters.OF_KIND.items() if check(host, want, cloud) is not None)
    return bits | (NOT_FRESH if host.problem else 0)


def count(bits: Ints) -> Ints:
    """How many hosts each filter rules out."""
    counts: Ints = ((bits[:, None] >> NUMBERS) & 1).sum(axis=0)
    return counts


def asked(want: VmRequest) -> list[str]:
    """Which of the rare questions the request makes necessary."""
    rare = []
    if want.only_host is not None:
        rare.append("asked_for")
    if want.excluded_hosts:
        rare.append("excluded")
    if want.local_disk_bytes > 0:
        rare.append("local_disk")
    if want.moves:
        rare.append("migrations")
    if want.rules:
        rare += sorted({rule.kind for rule in want.rules if rule.hard})
    return rare


def stale(hosts: Hosts, want: VmRequest) -> Flags:
    """Whose facts are too old, by the moment of the request."""
    return hosts.oldest_at_s(want) < want.now_s - want.max_facts_age_s


def _local_disk(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Flags:
    return hosts.column(LOCAL_DISK) < want.local_disk_bytes


def _migrations(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Flags:
    return hosts.column(MIGRATIONS) >= want.max_migrations


def _asked_for(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Flags:
    return ~hosts.are(frozenset({want.only_host or ""}))


def _excluded(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Flags:
    return hosts.are(want.excluded_hosts)


def _affinity(hosts: Hosts, want: VmRequest, cloud: Cloud) -> Flags:
    wrong = hosts.none()
    for rule in filters.hard_rules(want, "affinity"):
        if rule.group_id in cloud.homes:
            wrong |= hosts.members(rule.group_id, want) == 0
    return wrong


def _anti_affinity(hosts: Hosts, want: VmRequest, _cloud: Cloud) -> Flags:
    wrong = hosts.none()
    for rule in filters.hard_rules(want, "anti_affinity"):
        wrong |= hosts.members(rule.group_id, want) > 0
    return wrong


RARE: Mapping[str, Mask] = {
    "asked_for": _asked_for,
    "excluded": _excluded,
    "local_disk": _local_disk,
    "migrations": _migrations,
    "affinity": _affinity,
    "anti_affinity": _anti_affinity,
}
