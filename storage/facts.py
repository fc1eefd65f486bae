"""Observed numbers about the storage, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StorageHealth:
    """Health of the cluster.

    `status` is HEALTH_OK, HEALTH_WARN or HEALTH_ERR; `checks` are one line each.
    """

    status: str
    checks: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """Facts of one pool. `free_bytes` is what guests may still write.

    Replication is already subtracted. `device_class` is the only kind of disk that its rule uses; None when it uses
    any.
    """

    name: str
    replicas: int
    stored_bytes: int
    free_bytes: int
    near_full: bool
    full: bool
    quota_bytes: int | None = None
    crush_rule: str | None = None
    device_class: str | None = None


@dataclass(frozen=True, slots=True)
class OsdFacts:
    """Facts of one OSD. A latency of None means no data.

    An idle OSD reports 0 ms, which is not "fast".
    """

    osd_id: int
    host: str
    up: bool
    in_cluster: bool
    commit_latency_ms: float | None
    apply_latency_ms: float | None
    used_bytes: int
    total_bytes: int
    device_class: str | None = None


@dataclass(frozen=True, slots=True)
class HostStorage:
    """Ceph load on one host. None means no data, which is never "best".

    `op_latency_ms` is that of its slowest OSD. `ping_ms` is the median over its links to the other hosts: each link
    has two ends, and one slow host must not make all of them look slow. `slow_ops` is an even share of the number
    that the cluster reports for several OSDs together. Of the `pgs` with a copy on this host some are degraded (a copy
    is missing), some recovering (copies are being made, or queued). `local_reads` maps each pool to the share of its
    PGs with a complete copy on this host; pools without any are left out. `osd_memory_mib` is the memory limit of its
    OSDs together.
    """

    host: str
    osds: int
    osds_up: int
    op_latency_ms: float | None
    slow_ops: int
    ping_ms: float | None
    pgs: int
    pgs_degraded: int
    pgs_recovering: int
    local_reads: Mapping[str, float] = field(default_factory=dict)
    osd_memory_mib: int = 0
