"""Counters of all domains of a host, by one call of libvirt."""

from __future__ import annotations

import libvirt

from service.hypervisor.libvirt_link.domain_state import state_of
from service.hypervisor.values import DiskStatistics, DomainStatistics, MemoryStatistics, NicStatistics
from service.json_types import JsonObject

WANTED = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
# For a busy domain (being migrated for example) libvirt returns what it knows itself.
FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
Numbers = JsonObject


def read(connection: libvirt.virConnect) -> tuple[DomainStatistics, ...]:
    """Return every running domain's counters, by one round trip.

    Source of the names: virConnectGetAllDomainStats.
    """
    return tuple(
        _domain(domain.UUIDString(), domain.name(), _nested(numbers))
        for domain, numbers in connection.getAllDomainStats(WANTED, FLAGS)
    )


def _nested(flat: dict[str, int]) -> Numbers:
    """Return {"block.0.rd.bytes": 4096} as {"block": {"0": {"rd": {"bytes": 4096}}}}."""
    numbers: Numbers = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        place = numbers
        for word in path:
            place = place.setdefault(word, {})
        place[last] = value
    return numbers


def _domain(vm_id: str, name: str, numbers: Numbers) -> DomainStatistics:
    cpu, state = numbers.get("cpu", {}), numbers.get("state", {})
    vcpu_times_s = tuple(vcpu["time"] / 1e9 for vcpu in _numbered(numbers, "vcpu", "maximum") if "time" in vcpu)
    return DomainStatistics(
        vm_id=vm_id,
        name=name,
        state=state_of(state.get("state", -1), state.get("reason", 0)),
        cpu_time_s=cpu["time"] / 1e9 if "time" in cpu else sum(vcpu_times_s),  # a host without cgroups has none
        vcpu_times_s=vcpu_times_s,
        memory=_memory(numbers.get("balloon", {})),
        disks=tuple(map(_disk, _numbered(numbers, "block", "count"))),
        nics=tuple(map(_nic, _numbered(numbers, "net", "count"))),
    )


def _numbered(numbers: Numbers, kind: str, count: str) -> list[Numbers]:
    """Return the existing parts named "0", "1", …."""
    parts = numbers.get(kind, {})
    return [parts[str(number)] for number in range(parts.get(count, 0)) if str(number) in parts]


def _memory(balloon: Numbers) -> MemoryStatistics | None:
    def size(key: str) -> int | None:
        return balloon[key] * 1024 if key in balloon else None

    if "current" not in balloon:
        return None
    return MemoryStatistics(
        current_bytes=size("current") or 0,
        maximum_bytes=size("maximum") or 0,
        resident_bytes=size("rss") or 0,
        available_bytes=size("available"),
        unused_bytes=size("unused"),
        usable_bytes=size("usable"),
    )


def _disk(block: Numbers) -> DiskStatistics:
    read, written, flushed = (block.get(way, {}) for way in ("rd", "wr", "fl"))
    return DiskStatistics(
        target=block.get("name", ""),
        read_bytes=read.get("bytes", 0),
        read_requests=read.get("reqs", 0),
        read_time_s=read.get("times", 0) / 1e9,
        written_bytes=written.get("bytes", 0),
        write_requests=written.get("reqs", 0),
        write_time_s=written.get("times", 0) / 1e9,
        flush_requests=flushed.get("reqs", 0),
        capacity_bytes=block.get("capacity", 0),
    )


def _nic(net: Numbers) -> NicStatistics:
    received, sent = net.get("rx", {}), net.get("tx", {})
    return NicStatistics(
        device=net.get("name", ""),
        received_bytes=received.get("bytes", 0),
        received_packets=received.get("pkts", 0),
        received_errors=received.get("errs", 0),
        received_drops=received.get("drop", 0),
        sent_bytes=sent.get("bytes", 0),
        sent_packets=sent.get("pkts", 0),
        sent_errors=sent.get("errs", 0),
        sent_drops=sent.get("drop", 0),
    )
