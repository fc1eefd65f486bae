"""The decision as one would write it down: one host after the other, nothing remembered. What is fast must equal it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from service.placement.facts import HostFacts, VmRequest
from service.placement.filters import Cloud, reasons_against
from service.placement.place import Decision, Verdict
from service.placement.policy import Policy
from service.placement.scorers import HOST_SCORERS, MILLION, cpu_used

Judged = tuple[Verdict, Mapping[str, str], int]  # with reasons by filter, and the whole score


def place(hosts: Iterable[HostFacts], want: VmRequest, policy: Policy) -> Decision:
    """As placement.place, of a policy without a pick."""
    everyone = judged(hosts, want, policy)
    histogram = Counter(name for _, reasons, _ in everyone for name in reasons)
    top = tuple(told for told, reasons, _ in everyone if not reasons)[:5]
    return Decision(policy.algorithm, policy.hash, top[0] if top else None, top, dict(histogram), len(everyone))


def explain(hosts: Iterable[HostFacts], want: VmRequest, policy: Policy) -> tuple[Verdict, ...]:
    """As placement.explain."""
    return tuple(told for told, _, _ in judged(hosts, want, policy))


def judged(hosts: Iterable[HostFacts], want: VmRequest, policy: Policy) -> list[Judged]:
    """Every host, best first, equals by name, then the ruled out by name."""
    by_name = sorted(hosts, key=lambda host: host.name)
    cloud = _cloud(by_name, want)
    return sorted((_judge(host, want, cloud, policy) for host in by_name), key=lambda one: (-one[2], one[0].host_name))


def _judge(host: HostFacts, want: VmRequest, cloud: Cloud, policy: Policy) -> Judged:
    reasons = reasons_against(host, want, cloud)
    if reasons:
        return Verdict(host.host_id, host.name, tuple(reasons.values()), None, ()), reasons, -1
    values = {name: score(host) for name, score in HOST_SCORERS.items()} | _fit(host, want, cloud)
    terms = {name: round(value * MILLION) for name, value in values.items() if name in policy.whole_weights}
    total = sum(policy.whole_weights[name] * term for name, term in terms.items())
    told = tuple((name, term / MILLION) for name, term in terms.items())
    return Verdict(host.host_id, host.name, (), round(total / policy.sum) / MILLION, told), {}, total


def _cloud(hosts: list[HostFacts], want: VmRequest) -> Cloud:
    sane = [host for host in hosts if "sane_facts" not in reasons_against(host, want, Cloud())]
    counted = [host for host in sane if host.state == "active"]
    homes = {
        rule.group_id: tuple(host.name for host in hosts if _others(rule.group_id, host, want))[:6]
        for rule in want.rules
    }
    of_project = sum(host.projects.get(want.project_id, 0) for host in hosts) if want.project_id else 0
    cloud = Cloud(
        project_vms=max((1 << n for n in range(20) if 1 << n <= of_project), default=0),
        homes={group: names for group, names in homes.items() if names},
    )
    return cloud if not want.keep_room else _with_room(cloud, counted)


def _with_room(cloud: Cloud, counted: list[HostFacts]) -> Cloud:
    return Cloud(
        free_vcpus=sum(host.free_vcpus for host in counted),
        free_memory_mib=sum(host.free_memory_mib for host in counted),
        largest_vcpus=max((max(1, host.usable_vcpus) for host in counted), default=0),
        largest_memory_mib=max((max(1, host.usable_memory_mib) for host in counted), default=0),
        project_vms=cloud.project_vms,
        homes=cloud.homes,
    )


def _fit(host: HostFacts, want: VmRequest, cloud: Cloud) -> dict[str, float]:
    vcpus, memory = host.free_vcpus - want.vcpus, host.free_memory_mib - want.memory_mib
    cpu_headroom, memory_headroom = _quarters(vcpus, host.usable_vcpus), _quarters(memory, host.usable_memory_mib)
    here = host.projects.get(want.project_id, 0) if want.project_id else 0
    return {
        "cpu_headroom": cpu_headroom,
        "memory_headroom": memory_headroom,
        "balance": min(cpu_headroom, memory_headroom),
        "cpu_use": max(0.0, 1.0 - cpu_used(host) - want.vcpus * (0.2 / max(1, host.vcpus))),
        "vcpus_free": vcpus / max(1, host.usable_vcpus),
        "memory_free": memory / max(1, host.usable_memory_mib),
        "local_reads": _local_reads(host, want),
        "spreading": 1 - min(1, _quarters(here, cloud.project_vms)) if cloud.project_vms else 1.0,
        "affinity": _affinity(host, want),
    }


def _quarters(part: int, whole: int) -> float:
    return (part * 4) // max(1, whole) / 4


def _local_reads(host: HostFacts, want: VmRequest) -> float:
    if not want.pools:
        return 0.5
    shares = [0.5 if host.storage is None else host.storage.local_reads.get(pool.name, 0.0) for pool in want.pools]
    return sum(shares) / len(shares)


def _affinity(host: HostFacts, want: VmRequest) -> float:
    drawn = []
    for rule in want.rules:
        if not rule.hard:
            members = _others(rule.group_id, host, want)
            drawn.append(min(members, 1) if rule.kind == "affinity" else 1 / (1 + members))
    return sum(drawn) / len(drawn) if drawn else 0.5


def _others(group_id: str, host: HostFacts, want: VmRequest) -> int:
    return max(0, host.members.get(group_id, 0) - (want.moves and host.host_id in want.excluded_hosts))
