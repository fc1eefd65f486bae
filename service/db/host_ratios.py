"""Overcommit ratios of hosts: the lowest of those set in their host groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, cast

from peewee import fn

from service.db.engine.sql_types import Tuples
from service.db.tables import HostGroup, HostGroupMember

Ratios: TypeAlias = tuple[int | None, int | None]
NOT_SAID: Ratios = (None, None)


def of_hosts(host_ids: Iterable[str] | None = None) -> dict[str, Ratios]:
    """Return host id → ratios of vCPUs and of memory, in thousandths.

    None means that no group of the host sets one: the setting applies. Hosts in no group are left out. `host_ids` None:
    all hosts.
    """
    rows = (
        HostGroupMember.select(
            HostGroupMember.host, fn.MIN(HostGroup.vcpu_ratio_milli), fn.MIN(HostGroup.memory_ratio_milli)
        )
        .join(HostGroup)
        .group_by(HostGroupMember.host)
    )
    if host_ids is not None:
        rows = rows.where(HostGroupMember.host.in_(list(host_ids)))
    return {host_id: (vcpus, memory) for host_id, vcpus, memory in cast("Tuples", rows.tuples())}
