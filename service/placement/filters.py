"""Filters answer "why not" in words and numbers; None means the host may take the VM."""

from __future__ import annotations

from collections.abc import Callable

from service.placement.facts import HostFacts, VmRequest

Filter = Callable[[HostFacts, VmRequest], str | None]


def is_asked_for(host: HostFacts, want: VmRequest) -> str | None:
    """Another host than the one that was named."""
    if want.only_host is not None and host.host_id != want.only_host:
        return "another host was asked for"
    return None


def is_not_excluded(host: HostFacts, want: VmRequest) -> str | None:
    """The host that the VM leaves."""
    return "the VM is here already" if host.host_id in want.excluded_hosts else None


def is_allowed(host: HostFacts, want: VmRequest) -> str | None:
    """A project that has host groups stays on their hosts."""
    if want.allowed_hosts is not None and host.host_id not in want.allowed_hosts:
        return "in no host group of the project"
    return None


def is_active(host: HostFacts, _want: VmRequest) -> str | None:
    """Cordoned, draining, fenced … hosts take no VM."""
    return None if host.state == "active" else f"host is {host.state}"


def has_fresh_facts(host: HostFacts, want: VmRequest) -> str | None:
    """Numbers that are too old are no ground for a decision."""
    if host.problem and host.age_s is not None and host.age_s <= want.max_facts_age_s:
        return f"does not answer: {host.problem}"
    if host.age_s is None:
        return f"never observed: {host.problem}" if host.problem else "never observed"
    if host.age_s > want.max_facts_age_s:
        told = f"facts are {host.age_s:.0f} s old, at most {want.max_facts_age_s:.0f} s are trusted"
        return f"{told}: {host.problem}" if host.problem else told
    return None


def has_virt_type(host: HostFacts, want: VmRequest) -> str | None:
    """A guest started under KVM cannot go on under TCG, nor the other way round."""
    if host.virt_type is None:
        return "not yet known whether KVM works here"
    if want.virt_type is not None and host.virt_type != want.virt_type:
        return f"runs {host.virt_type} guests, the VM was started as {want.virt_type}"
    return None


def has_memory(host: HostFacts, want: VmRequest) -> str | None:
    """Promised memory never exceeds what the OSDs leave."""
    short = want.memory_mib - host.free_memory_mib
    return f"{short} MiB of memory short ({host.free_memory_mib} MiB free)" if short > 0 else None


def has_vcpus(host: HostFacts, want: VmRequest) -> str | None:
    """Promised vCPUs never exceed the inventory's number."""
    short = want.vcpus - host.free_vcpus
    return f"{short} vCPU short ({host.free_vcpus} free)" if short > 0 else None


def has_pool_room(_host: HostFacts, want: VmRequest) -> str | None:
    """CRUSH spreads a pool over all hosts: its fullness rules out the pool, not one host."""
    pool = want.pool
    if pool is None:
        return None
    if pool.age_s is None:
        return f"pool {pool.name} was never observed"
    if pool.age_s > want.max_facts_age_s:
        return f"pool {pool.name} was seen {pool.age_s:.0f} s ago, at most {want.max_facts_age_s:.0f} s are trusted"
    return f"pool {pool.name} is full" if pool.full else None


FILTERS: tuple[Filter, ...] = (
    is_asked_for,
    is_not_excluded,
    is_allowed,
    is_active,
    has_fresh_facts,
    has_virt_type,
    has_memory,
    has_vcpus,
    has_pool_room,
)


def reasons_against(host: HostFacts, want: VmRequest) -> tuple[str, ...]:
    """Every reason why the host cannot take the VM; empty when it can."""
    return tuple(reason for check in FILTERS if (reason := check(host, want)) is not None)
