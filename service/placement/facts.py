"""What a decision is made from: one frozen value per host, per pool and per request; check.py judges them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeVar

NOTHING: Mapping[str, Any] = MappingProxyType({})
NOBODY: frozenset[str] = frozenset()

Seen = TypeVar("Seen", "HostStorage", "HostUsage")


@dataclass(frozen=True, slots=True)
class HostStorage:
    """What Ceph goes through on one host. Latencies are the worst of its OSDs; None: idle, so there is no data."""

    osds: int = 0
    osds_up: int = 0
    op_latency_ms: float | None = None
    slow_ops: int = 0
    ping_ms: float | None = None  # worst heartbeat of its OSDs
    pgs: int = 0  # placement groups with a copy here, as are the next two
    pgs_degraded: int = 0
    pgs_recovering: int = 0  # recovering, backfilling or waiting for it
    local_reads: Mapping[str, float] = field(default_factory=lambda: NOTHING)  # pool → share of its PGs here
    osd_memory_mib: int = 0  # sum of osd_memory_target


@dataclass(frozen=True, slots=True)
class HostUsage:
    """What a host really does. Shares are of its real CPUs, 0 to 1; None: not known."""

    cpu_average: float | None = None
    cpu_peak: float | None = None  # 95th percentile of the last 24 h
    cpu_forecast: float | None = None  # expected in the coming 4 h
    ceph_cpu: float | None = None  # what neither guests nor idle took
    memory_used_mib: int | None = None
    ksm_saved_mib: int | None = None


def read(kind: type[Seen], seen: Mapping[str, Any] | None) -> Seen | None:
    """The value that was written as JSON; members that are not known are left out, values are taken as they are."""
    if seen is None:
        return None
    names = {one.name for one in fields(kind)}
    return kind(**{name: value for name, value in seen.items() if name in names})


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """A storage pool as a guest's disk sees it. `observed_at_s` (epoch) is None when it was never observed."""

    name: str
    observed_at_s: float | None
    free_bytes: int
    near_full: bool
    full: bool
    quota_bytes: int | None = None
    device_class: str | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host. Capacity is what the inventory grants; `reserved_*` is taken off first, then the ratios count."""

    host_id: str
    name: str
    state: str
    observed_at_s: float | None  # epoch; None when the host was never observed
    problem: str | None = None  # why the last observation failed
    virt_type: str | None = None
    vcpus: int = 0
    reserved_vcpus: int = 0
    vcpu_ratio: float = 1.0
    allocated_vcpus: int = 0
    memory_mib: int = 0
    reserved_memory_mib: int = 0
    memory_ratio: float = 1.0
    allocated_memory_mib: int = 0
    vm_count: int = 0
    migrations: int = 0  # in flight, from here and to here
    cpu_load: float | None = None  # share of the capacity that the guests use now, 0 to 1
    local_disk_free_bytes: int | None = None
    firmwares: frozenset[str] = frozenset({"bios", "uefi"})
    cpu_model: str | None = None
    cpu_features: frozenset[str] = NOBODY
    bridges: frozenset[str] | None = None  # None: not known, which rules nothing out
    host_groups: frozenset[str] = NOBODY  # ids
    projects: Mapping[str, int] = field(default_factory=lambda: NOTHING)  # project id → its VMs here
    members: Mapping[str, int] = field(default_factory=lambda: NOTHING)  # placement group id → its VMs here
    storage: HostStorage | None = None
    storage_observed_at_s: float | None = None
    usage: HostUsage | None = None

    @property
    def usable_vcpus(self) -> int:
        """vCPUs that may be promised in all. The ratio counts in thousandths, so that 1.15 of 100 is 115."""
        return max(0, self.vcpus - self.reserved_vcpus) * round(self.vcpu_ratio * 1000) // 1000

    @property
    def usable_memory_mib(self) -> int:
        """MiB that may be promised in all. A ratio above 1 counts as far as KSM is measured to save."""
        real = max(0, self.memory_mib - self.reserved_memory_mib)
        wished = real * round(self.memory_ratio * 1000) // 1000
        saved = (self.usage.ksm_saved_mib or 0) if self.usage else 0
        return min(wished, real + saved)

    @property
    def free_vcpus(self) -> int:
        """vCPUs that may still be promised."""
        return self.usable_vcpus - self.allocated_vcpus

    @property
    def free_memory_mib(self) -> int:
        """MiB that may still be promised."""
        return self.usable_memory_mib - self.allocated_memory_mib


@dataclass(frozen=True, slots=True)
class GroupRule:
    """A placement group that the VM is in. Hard rules filter, soft ones score."""

    group_id: str
    name: str
    kind: Literal["affinity", "anti_affinity"]
    hard: bool


@dataclass(frozen=True, slots=True)
class VmRequest:
    """What a VM needs of a host. `memory_mib` holds QEMU's overhead too; `pools` are those it writes new data to."""

    vcpus: int
    memory_mib: int
    pools: tuple[PoolFacts, ...] = ()  # none for a move: it writes nothing
    virt_type: str | None = None  # a VM that moves keeps the one that it was started with
    cpu_features: frozenset[str] = NOBODY
    bridges: frozenset[str] = NOBODY
    firmware: str | None = None
    local_disk_bytes: int = 0
    excluded_hosts: frozenset[str] = NOBODY
    only_host: str | None = None
    host_groups: frozenset[str] | None = None  # those of the project; None: all hosts
    project_id: str | None = None
    rules: tuple[GroupRule, ...] = ()
    moves: bool = False  # then migrations in flight count, and its own membership on the excluded host does not
    max_migrations: int = 2  # per host
    keep_room: bool = False  # for one lost host
    now_s: float = 0.0  # epoch: what ages are told by
    max_facts_age_s: float = 60.0
