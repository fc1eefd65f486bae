"""What a host says of itself through libvirt: what it is made of, which seldom changes, and what it is doing now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import libvirt
from lxml import etree

from service.facts.host import HostLink, NumaCell
from service.hypervisor import schema
from service.hypervisor.contract import HypervisorFacts
from service.hypervisor.values import HostCounters

Result = TypeVar("Result")
KIB_PER_MIB = 1024
KSM_PAGE_KIB = 4  # x86-64: what KSM merges are small pages
GUESTS_CARDS = ("vnet", "lo")  # no links of the host's own
IN_A_FOLDER = ("dir", "fs")
BUSY, IDLE = ("kernel", "user", "intr"), ("idle", "iowait")  # names of CPU time in node CPU statistics


def read(connection: libvirt.virConnect) -> HypervisorFacts:
    """What one host is made of: about ten calls, some with XML."""
    info = connection.getInfo()
    host = schema.parse(connection.getCapabilities())
    kvm_offered = host.find("guest/arch[@name='x86_64']/domain[@type='kvm']") is not None
    domains = schema.parse(connection.getDomainCapabilities(None, "x86_64", "q35", "kvm" if kvm_offered else "qemu"))
    cards = _if_known(connection, lambda: _cards(connection))
    return HypervisorFacts(
        cpus=info[2],
        memory_mib=info[1],
        cpu_model=host.findtext("host/cpu/model") or "unknown",
        cpu_features=_features(connection, host),
        machine=domains.findtext("machine") or "",
        libvirt_version=_version(connection.getLibVersion()),
        qemu_version=_version(connection.getVersion()),
        kvm_offered=kvm_offered,
        firmwares=frozenset({"bios", "uefi"} if _has_uefi(domains) else {"bios"}),
        numa=tuple(map(_cell, host.findall("host/topology/cells/cell"))),
        bridges=None if cards is None else frozenset(_bridges(cards)),
        links=tuple(sorted(_links(cards or []), key=lambda link: link.name)),
        boot_time=_if_known(connection, lambda: _boot_time(connection, info[2])),
        local_disk_free_bytes=_if_known(connection, lambda: _disk_free_bytes(connection)),
    )


def count(connection: libvirt.virConnect) -> HostCounters:
    """What one host is doing: four small calls."""
    busy_s, idle_s = _cpu_times_s(connection)
    memory = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0)
    merged = _if_known(connection, lambda: connection.getMemoryParameters(0))
    unused = sum(memory.get(way, 0) for way in ("free", "buffers", "cached"))
    return HostCounters(
        cpus=connection.getInfo()[2],
        busy_s=busy_s,
        total_s=busy_s + idle_s,
        memory_mib=memory["total"] // KIB_PER_MIB,
        memory_used_mib=max(0, memory["total"] - unused) // KIB_PER_MIB,
        ksm_saved_mib=_saved_mib(merged or {}),
    )


def _cpu_times_s(connection: libvirt.virConnect) -> tuple[float, float]:
    """Return busy and idle seconds of all CPUs since the host booted; waiting for a disk is idle."""
    cpu = connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0)
    busy, idle = (sum(cpu.get(way, 0) for way in ways) / 1e9 for ways in (BUSY, IDLE))
    return busy, idle


def _boot_time(connection: libvirt.virConnect, cpus: int) -> int:
    """Return the epoch second of the boot: now, less the mean time that the host's CPUs have counted since.

    libvirt has no call for it. Stolen time is not counted: on a host that is a virtual machine this is too late.
    """
    return round(time.time() - sum(_cpu_times_s(connection)) / cpus)


def _if_known(connection: libvirt.virConnect, read: Callable[[], Result]) -> Result | None:
    """None when this host's libvirt was built without it; a connection that broke is still an error."""
    try:
        return read()
    except libvirt.libvirtError:
        if connection.isAlive() != 1:
            raise
        return None


def _saved_mib(parameters: dict[str, int]) -> int | None:
    """`shm_pages_sharing`: how many more places use a page that is there once. Source: Linux, admin-guide/mm/ksm."""
    pages = parameters.get("shm_pages_sharing")
    return None if pages is None else pages * KSM_PAGE_KIB // KIB_PER_MIB


def _features(connection: libvirt.virConnect, host: etree._Element) -> frozenset[str]:
    """libvirt lists what the CPU has beyond its model; the baseline of this one CPU spells the model out, too."""
    cpu = host.find("host/cpu")
    if cpu is None:
        return frozenset()
    described = etree.tostring(cpu, encoding="unicode")
    expand = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    whole = _if_known(connection, lambda: schema.parse(connection.baselineCPU([described], expand)))
    known = {feature.get("name", "") for feature in cpu.findall("feature")}
    if whole is not None:
        known |= {one.get("name", "") for one in whole.findall("feature") if one.get("policy") != "disable"}
    return frozenset(known)


def _has_uefi(domains: etree._Element) -> bool:
    return any(value.text == "efi" for value in domains.findall("os/enum[@name='firmware']/value"))


def _cell(cell: etree._Element) -> NumaCell:
    memory_kib, cpus = int(cell.findtext("memory") or 0), cell.findall("cpus/cpu")
    return NumaCell(int(cell.get("id", 0)), len(cpus), memory_kib // KIB_PER_MIB)


def _cards(connection: libvirt.virConnect) -> list[etree._Element]:
    """Every network interface, those in a bridge inside it."""
    return [schema.parse(one.XMLDesc(0)) for one in connection.listAllInterfaces(0) if _is_own(one.name())]


def _bridges(cards: list[etree._Element]) -> Iterator[str]:
    return (card.get("name", "") for card in cards if card.get("type") == "bridge")


def _links(cards: list[etree._Element]) -> Iterator[HostLink]:
    for card in cards:
        for one in card.iter("interface"):
            link = one.find("link")
            if one.get("type") == "ethernet" and link is not None and _is_own(one.get("name", "")):
                yield HostLink(one.get("name", ""), link.get("state") == "up", _speed_mbit(link))


def _speed_mbit(link: etree._Element) -> int | None:
    speed = link.get("speed", "")
    return int(speed) if speed.isdecimal() else None


def _is_own(name: str) -> bool:
    return not name.startswith(GUESTS_CARDS)


def _disk_free_bytes(connection: libvirt.virConnect) -> int | None:
    """Guests' local disks would lie in a folder that libvirt knows as a pool."""
    pools = connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
    free = [pool.info()[3] for pool in pools if schema.parse(pool.XMLDesc(0)).get("type") in IN_A_FOLDER]
    return max(free, default=None)


def _version(number: int) -> str:
    """libvirt counts 1000000 * major + 1000 * minor + release."""
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
