"""Input of a decision: one frozen value per host, per pool and per request; check.py rejects invalid ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from service.facts.host import HostHardware, HostLoad, HostStorage, HostUsage
from service.json_types import Json

__all__ = [
    "EMPTY",
    "FIRMWARES",
    "NOTHING",
    "GroupRule",
    "HostFacts",
    "HostHardware",
    "HostLoad",
    "HostStorage",
    "HostUsage",
    "PoolFacts",
    "VmRequest",
]

NOTHING: Mapping[str, Json] = MappingProxyType({})
EMPTY: frozenset[str] = frozenset()
FIRMWARES = frozenset({"bios", "uefi"})  # of a host whose firmwares are not known


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
    hardware: HostHardware = HostHardware()  # noqa: RUF009 - frozen
    load: HostLoad = HostLoad()  # noqa: RUF009 - frozen
    host_groups: frozenset[str] = EMPTY  # ids
    projects: Mapping[str, int] = field(default_factory=lambda: NOTHING)  # project id → its VMs here
    members: Mapping[str, int] = field(default_factory=lambda: NOTHING)  # placement group id → its VMs here
    storage: HostStorage | None = None
    storage_observed_at_s: float | None = None
    usage: HostUsage | None = None

    @property
    def usable_vcpus(self) -> int:
        """vCPUs that may be allocated in all. The ratio counts in thousandths, so that 1.15 of 100 is 115."""
        return max(0, self.vcpus - self.reserved_vcpus) * round(self.vcpu_ratio * 1000) // 1000

    @property
    def usable_memory_mib(self) -> int:
        """MiB that may be allocated in all. A ratio above 1 counts as far as KSM is measured to save."""
        real = max(0, self.memory_mib - self.reserved_memory_mib)
        wished = real * round(self.memory_ratio * 1000) // 1000
        saved = (self.usage.ksm_saved_mib or 0) if self.usage else 0
        return min(wished, real + saved)

    @property
    def free_vcpus(self) -> int:
        """vCPUs that may still be allocated."""
        return self.usable_vcpus - self.allocated_vcpus

    @property
    def free_memory_mib(self) -> int:
        """MiB that may still be allocated."""
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
    cpu_features: frozenset[str] = EMPTY
    bridges: frozenset[str] = EMPTY
    firmware: str | None = None
    local_disk_bytes: int = 0
    excluded_hosts: frozenset[str] = EMPTY
    only_host: str | None = None
    host_groups: frozenset[str] | None = None  # those of the project; None: all hosts
    project_id: str | None = None
    rules: tuple[GroupRule, ...] = ()
    moves: bool = False  # then migrations in flight count, and its own membership on the excluded host does not
    max_migrations: int = 2  # per host
    keep_room: bool = False  # for one lost host
    now_s: float = 0.0  # epoch: ages are counted from it
    max_facts_age_s: float = 60.0
