"""Observed numbers about the storage, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StorageHealth:
    """`status` is HEALTH_OK, HEALTH_WARN or HEALTH_ERR; `checks` are one line each."""

    status: str
    checks: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """One pool. `free_bytes` is what a guest may still write (replication already taken off)."""

    name: str
    replicas: int
    stored_bytes: int
    free_bytes: int
    near_full: bool
    full: bool


@dataclass(frozen=True, slots=True)
class OsdFacts:
    """One OSD. A latency of None means no data: an idle OSD reports 0 ms, which is not "fast"."""

    osd_id: int
    host: str
    up: bool
    in_cluster: bool
    commit_latency_ms: float | None
    apply_latency_ms: float | None
    used_bytes: int
    total_bytes: int
