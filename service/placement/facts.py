"""What a decision is made from: one frozen value per host and one per request."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """A storage pool as a guest's disk sees it. `age_s` is that of the observation; None when there was none."""

    name: str
    age_s: float | None
    free_bytes: int
    near_full: bool
    full: bool


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host. Capacity is what the inventory grants; `reserved_*` is taken off first, for the host's OSDs."""

    host_id: str
    name: str
    state: str
    age_s: float | None  # of the observation; None when the host was never observed
    problem: str | None  # why the last observation failed
    virt_type: str | None
    vcpus: int
    reserved_vcpus: int
    allocated_vcpus: int
    memory_mib: int
    reserved_memory_mib: int
    allocated_memory_mib: int
    vm_count: int
    cpu_load: float | None  # share of the capacity that the guests used lately, 0 to 1
    osds: int
    osds_up: int
    osd_latency_ms: float | None  # worst of the host's OSDs; None when idle or unknown

    @property
    def free_vcpus(self) -> int:
        """vCPUs that may still be promised."""
        return self.vcpus - self.reserved_vcpus - self.allocated_vcpus

    @property
    def free_memory_mib(self) -> int:
        """MiB that may still be promised."""
        return self.memory_mib - self.reserved_memory_mib - self.allocated_memory_mib


@dataclass(frozen=True, slots=True)
class VmRequest:
    """What a VM needs of a host. `memory_mib` holds QEMU's own overhead too; `pool` None means no disk is written."""

    vcpus: int
    memory_mib: int
    pool: PoolFacts | None
    virt_type: str | None = None  # a VM that moves keeps the one that it was started with
    excluded_hosts: frozenset[str] = field(default_factory=frozenset)
    only_host: str | None = None
    allowed_hosts: frozenset[str] | None = None  # those of the project's host groups; None: all
    max_facts_age_s: float = 60.0
