"""Filters answer "why not" in words and numbers; None means that the host may take the VM.

Each gets the host, the request and the cloud. The same questions are asked of all hosts at once in masks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.placement.check import nonsense
from service.placement.facts import FIRMWARES, NOTHING, GroupRule, HostFacts, PoolFacts, VmRequest


@dataclass(frozen=True, slots=True)
class Cloud:
    """What is known of all hosts together. Sums and maxima are of active hosts with sane facts."""

    free_vcpus: int = 0
    free_memory_mib: int = 0
    largest_vcpus: int = 0  # usable on the largest host
    largest_memory_mib: int = 0
    project_vms: int = 0  # of the request's project, rounded down to a power of two: it seldom changes
    # Placement group id of the request → the first hosts that other members run on, by name; without those of none.
    homes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)


Filter = Callable[[HostFacts, VmRequest, Cloud], str | None]


def asked_for(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """Another host than the one that was named."""
    if want.only_host is not None and host.host_id != want.only_host:
        return "another host was asked for"
    return None


def excluded(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """The host that the VM leaves."""
    return "the VM is here already" if host.host_id in want.excluded_hosts else None


def host_groups(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """A project that has host groups stays on their hosts."""
    if want.host_groups is not None and not want.host_groups & host.host_groups:
        return "in no host group of the project"
    return None


def state(host: HostFacts, _want: VmRequest, _cloud: Cloud) -> str | None:
    """Cordoned, draining, down … hosts take no VM; a fenced one is shut out of the storage."""
    if host.state == "fenced":
        return "host is fenced: it is shut out of the storage until it is known to be clean"
    return None if host.state == "active" else f"host is {host.state}"


def fresh_facts(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """Numbers that are too old are no ground for a decision."""
    if host.observed_at_s is None:
        return f"never observed: {host.problem}" if host.problem else "never observed"
    if text := _too_old("facts", host.observed_at_s, want):
        return f"{text}: {host.problem}" if host.problem else text
    storage_at_s = host.storage_observed_at_s
    if not want.moves and storage_at_s is not None and (text := _too_old("storage facts", storage_at_s, want)):
        return text
    return f"unreachable: {host.problem}" if host.problem else None


def virt_type(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """A guest started under KVM cannot go on under TCG, nor the other way round."""
    if host.virt_type is None:
        return "not yet known whether KVM works here"
    if want.virt_type is not None and host.virt_type != want.virt_type:
        return f"runs {host.virt_type} guests, the VM was started as {want.virt_type}"
    return None


def cpu_features(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """A guest that saw a CPU feature must find it where it goes on."""
    lacks = sorted(want.cpu_features - host.hardware.cpu_features)
    return f"CPU {host.hardware.cpu_model or 'of unknown model'} lacks {_some(lacks)}" if lacks else None


def firmware(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """BIOS or UEFI, as the image wants it."""
    if want.firmware is None or want.firmware in (host.hardware.firmwares or FIRMWARES):
        return None
    return f"has no {want.firmware} firmware for guests"


def network(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """Every bridge of the VM's cards; a host whose bridges are not known is not ruled out."""
    bridges = host.hardware.bridges
    lacks = sorted(want.bridges - bridges) if bridges is not None else []
    return f"has no bridge {_some(lacks)}" if lacks else None


def memory(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """Promised memory never exceeds what the OSDs leave."""
    short = want.memory_mib - host.free_memory_mib
    return f"{short} MiB of memory short ({host.free_memory_mib} MiB free)" if short > 0 else None


def vcpus(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """Promised vCPUs never exceed the inventory's number times the ratio."""
    short = want.vcpus - host.free_vcpus
    return f"{short} vCPU short ({host.free_vcpus} free)" if short > 0 else None


def local_disk(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """What is kept on the host itself; a guest's disks are not."""
    if not want.local_disk_bytes:
        return None
    free_bytes = host.hardware.local_disk_free_bytes
    if free_bytes is None:
        return "free space of the local disk is not known"
    short = want.local_disk_bytes - free_bytes
    return f"{short} bytes of local disk short ({free_bytes} free)" if short > 0 else None


def migrations(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """Moves share a host's network with its guests' writes: only so many at once, counted on both ends."""
    if not want.moves or host.migrations < want.max_migrations:
        return None
    return f"{host.migrations} migrations in flight, at most {want.max_migrations} are allowed at once"


def affinity(host: HostFacts, want: VmRequest, cloud: Cloud) -> str | None:
    """Hard: on a host of another member, if any runs."""
    missed = [rule for rule in hard_rules(want, "affinity") if misses(rule, host, want, cloud)]
    reasons = [f"affinity '{rule.name}': its VMs run on {_some(cloud.homes[rule.group_id])}" for rule in missed]
    return "; ".join(reasons) or None


def anti_affinity(host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """Hard: on a host of no other member."""
    met = [(rule, others(rule, host, want)) for rule in hard_rules(want, "anti_affinity")]
    reasons = [f"anti-affinity '{rule.name}': {count} of its VMs run here" for rule, count in met if count]
    return "; ".join(reasons) or None


def pools(_host: HostFacts, want: VmRequest, _cloud: Cloud) -> str | None:
    """CRUSH spreads a pool over all hosts: its fullness rules out the pool, not one host."""
    return next((text for pool in want.pools if (text := _pool(pool, want)) is not None), None)


def keep_room(_host: HostFacts, want: VmRequest, cloud: Cloud) -> str | None:
    """What is free after the VM must hold what the largest host could hold, should it be lost."""
    memory_left = cloud.free_memory_mib - want.memory_mib
    vcpus_left = cloud.free_vcpus - want.vcpus
    if memory_left < cloud.largest_memory_mib:
        text = f"{memory_left} MiB would be free in all, {cloud.largest_memory_mib} MiB"
    elif vcpus_left < cloud.largest_vcpus:
        text = f"{vcpus_left} vCPU would be free in all, {cloud.largest_vcpus} vCPU"
    else:
        return None
    return f"{text} are kept for the loss of the largest host" if want.keep_room else None


def hard_rules(want: VmRequest, kind: str) -> list[GroupRule]:
    """The request's rules of a kind that filter."""
    return [rule for rule in want.rules if rule.hard and rule.kind == kind]


def others(rule: GroupRule, host: HostFacts, want: VmRequest) -> int:
    """How many other members of the group run on the host: a VM that moves does not count itself."""
    itself = want.moves and host.host_id in want.excluded_hosts
    return max(0, host.members.get(rule.group_id, 0) - itself)


def misses(rule: GroupRule, host: HostFacts, want: VmRequest, cloud: Cloud) -> bool:
    """Whether other members run, and none here."""
    return rule.group_id in cloud.homes and not others(rule, host, want)


def _too_old(what: str, seen_at_s: float, want: VmRequest) -> str | None:
    if seen_at_s >= want.now_s - want.max_facts_age_s:
        return None
    return f"{what} are {want.now_s - seen_at_s:.0f} s old, at most {want.max_facts_age_s:.0f} s are trusted"


def _pool(pool: PoolFacts, want: VmRequest) -> str | None:
    if pool.observed_at_s is None:
        return f"pool {pool.name} was never observed"
    age_s = want.now_s - pool.observed_at_s
    if age_s > want.max_facts_age_s:
        return f"pool {pool.name} was seen {age_s:.0f} s ago, at most {want.max_facts_age_s:.0f} s are trusted"
    if pool.full:
        return f"pool {pool.name} is full"
    return f"pool {pool.name} is nearly full: it takes no new data" if pool.near_full else None


def _some(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


# One reason for all hosts alike: asked once per decision.
OF_ALL: Mapping[str, Filter] = {"pools": pools, "keep_room": keep_room}
# What a host is: asked once for all hosts that are alike in it.
OF_KIND: Mapping[str, Filter] = {
    "host_groups": host_groups,
    "state": state,
    "virt_type": virt_type,
    "cpu_features": cpu_features,
    "firmware": firmware,
    "network": network,
}
# Which host it is, and who runs there.
OF_PLACE: Mapping[str, Filter] = {
    "asked_for": asked_for,
    "excluded": excluded,
    "affinity": affinity,
    "anti_affinity": anti_affinity,
}
# What changes with every VM and every second.
OF_ROOM: Mapping[str, Filter] = {
    "fresh_facts": fresh_facts,
    "memory": memory,
    "vcpus": vcpus,
    "local_disk": local_disk,
    "migrations": migrations,
}
SANE = "sane_facts"
NAMES = (SANE, *OF_KIND, *OF_PLACE, *OF_ROOM, *OF_ALL)


def reasons_against(host: HostFacts, want: VmRequest, cloud: Cloud) -> dict[str, str]:
    """Filter name → why the host cannot take the VM; empty when it can. Nonsense is not calculated with."""
    trouble = nonsense(host)
    reasons = {SANE: f"reports nonsense: {trouble}"} if trouble else {}
    for filters in (OF_PLACE, OF_ALL) if trouble else (OF_KIND, OF_PLACE, OF_ROOM, OF_ALL):
        reasons |= _ask(filters, host, want, cloud)
    return reasons


def _ask(filters: Mapping[str, Filter], host: HostFacts, want: VmRequest, cloud: Cloud) -> dict[str, str]:
    return {name: why for name, check in filters.items() if (why := check(host, want, cloud)) is not None}
