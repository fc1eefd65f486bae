"""libvirt's flat numbers as values; the numbers are a real host's."""

from __future__ import annotations

import libvirt
import pytest

from service.hypervisor.libvirt_link import domain_statistics
from service.hypervisor.values import DiskStatistics, DomainStatistics, MemoryStatistics, NicStatistics

RUNNING = {"state.state": libvirt.VIR_DOMAIN_RUNNING, "state.reason": 1}
VCPUS = {"vcpu.current": 2, "vcpu.maximum": 3, "vcpu.0.time": 2_000_000_000, "vcpu.2.time": 500_000_000}
BALLOON = {"balloon.current": 1024, "balloon.maximum": 2048, "balloon.rss": 512, "balloon.unused": 100}
BLOCK = {
    "block.count": 2,
    "block.0.name": "vda",
    "block.0.rd.reqs": 3,
    "block.0.rd.bytes": 4096,
    "block.0.rd.times": 1_500_000_000,
    "block.0.wr.reqs": 5,
    "block.0.wr.bytes": 8192,
    "block.0.wr.times": 250_000_000,
    "block.0.fl.reqs": 2,
    "block.0.capacity": 1 << 30,
    "block.1.name": "sda",  # an empty drive
}
NET = {
    "net.count": 1,
    "net.0.name": "vnet7",
    **{f"net.0.{way}.{what}": n for way, n in (("rx", 1), ("tx", 2)) for what in ("bytes", "pkts", "errs", "drop")},
}


class Domain:
    def UUIDString(self) -> str:  # noqa: N802 - libvirt's name
        return "u-1"

    def name(self) -> str:
        return "vm-u-1"


class Connection:
    def __init__(self, numbers: dict[str, int]) -> None:
        self._numbers = numbers

    def getAllDomainStats(self, stats: int, flags: int) -> list[tuple[Domain, dict[str, int]]]:  # noqa: N802
        assert stats == domain_statistics.WANTED
        assert flags & libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        return [(Domain(), self._numbers)]


def read(numbers: dict[str, int]) -> DomainStatistics:
    (found,) = domain_statistics.read(Connection(numbers))
    return found


def test_every_number_finds_its_place() -> None:
    found = read({**RUNNING, "cpu.time": 3_000_000_000, **VCPUS, **BALLOON, **BLOCK, **NET})
    assert (found.vm_id, found.name, found.state, found.cpu_time_s) == ("u-1", "vm-u-1", "running", 3.0)
    assert found.vcpu_times_s == (2.0, 0.5)  # vCPU 1 is not there
    assert found.memory == MemoryStatistics(1 << 20, 2 << 20, 1 << 19, None, 100 << 10, None)
    assert found.disks == (
        DiskStatistics("vda", 4096, 3, 1.5, 8192, 5, 0.25, 2, 1 << 30),
        DiskStatistics("sda", 0, 0, 0.0, 0, 0, 0.0, 0, 0),
    )
    assert found.nics == (NicStatistics("vnet7", 1, 1, 1, 1, 2, 2, 2, 2),)


def test_a_host_that_counts_no_cpu_time_has_its_vcpus_sum() -> None:
    assert read({**RUNNING, **VCPUS}).cpu_time_s == 2.5


@pytest.mark.parametrize("numbers", [{}, {"state.state": libvirt.VIR_DOMAIN_SHUTOFF}])
def test_a_domain_that_is_just_ending_tells_what_it_can(numbers: dict[str, int]) -> None:
    found = read(numbers)
    assert (found.state, found.memory, found.disks, found.vcpu_times_s) == (None, None, (), ())
