"""The faults that the memory cloud has on order, and time that comes from outside."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from service.hypervisor.contract import DomainEvent, HostEndpoint, Hypervisor
from service.hypervisor.errors import (
    DomainNotFoundError,
    DomainRefusedError,
    DomainTwiceError,
    HostUnreachableError,
    MigrationFailedError,
)
from service.hypervisor.memory.memory import MemoryHypervisors
from service.hypervisor.memory.memory_cloud import MemoryCloud, MemoryHost
from tests.domain_cases import ORDINARY

ONE, TWO = HostEndpoint("host1", "10.0.0.1"), HostEndpoint("host2", "10.0.0.2")
SPEC = ORDINARY


class SteppedClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            self.now_s += timeout_s
        return event.is_set()


class Cut(BaseException):
    """The caller is killed while it waits."""


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def memory_cloud(clock: SteppedClock) -> MemoryCloud:
    return MemoryCloud(clock)


@pytest.fixture
def hosts(memory_cloud: MemoryCloud) -> tuple[MemoryHost, MemoryHost]:
    return memory_cloud.add_host(ONE.name, ONE.address), memory_cloud.add_host(TWO.name, TWO.address)


@pytest.fixture
def one(memory_cloud: MemoryCloud, hosts: object) -> Hypervisor:
    return MemoryHypervisors(memory_cloud).on(ONE)


@pytest.fixture
def two(memory_cloud: MemoryCloud, hosts: object) -> Hypervisor:
    return MemoryHypervisors(memory_cloud).on(TWO)


def quiet(_progress: object) -> None:
    pass


def test_an_unreachable_host_answers_nothing_after_its_silence(
    hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor, clock: SteppedClock
) -> None:
    hosts[0].reachable, hosts[0].silence_s = False, 4.0
    for call in (one.facts, one.domains, lambda: one.start(SPEC), lambda: one.force_off(SPEC.vm_id)):
        with pytest.raises(HostUnreachableError):
            call()
    assert clock.now_s == 16.0


def test_an_unreachable_host_keeps_its_domains(hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor) -> None:
    one.start(SPEC)
    hosts[0].reachable = False
    hosts[0].reachable = True
    assert one.domain(SPEC.vm_id) is not None


def test_a_host_without_power_has_no_domains_when_it_returns(
    memory_cloud: MemoryCloud, hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor
) -> None:
    one.start(SPEC)
    memory_cloud.lose_host("host1")
    hosts[0].reachable = True
    assert one.domains() == ()


def test_a_refused_start_says_why(hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor) -> None:
    hosts[0].refuses = "out of memory"
    with pytest.raises(DomainRefusedError, match="out of memory"):
        one.start(SPEC)
    assert one.domains() == ()


def test_a_slow_start_takes_its_time_on_the_clock(
    hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor, clock: SteppedClock
) -> None:
    hosts[0].start_s = 0.3
    one.start(SPEC)
    assert clock.now_s == 0.3


def test_a_failing_migration_leaves_the_guest(
    hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor, two: Hypervisor
) -> None:
    hosts[0].migration = "fails"
    one.start(SPEC)
    with pytest.raises(MigrationFailedError):
        one.migrate(TWO, SPEC, progress=quiet)
    assert one.domain(SPEC.vm_id) is not None
    assert two.domain(SPEC.vm_id) is None


def test_a_lost_hand_over_runs_twice_and_says_so(
    hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor, two: Hypervisor
) -> None:
    hosts[0].migration = "hand_over_lost"
    one.start(SPEC)
    with pytest.raises(DomainTwiceError):
        one.migrate(TWO, SPEC, progress=quiet)
    assert one.domain(SPEC.vm_id) is not None
    assert two.domain(SPEC.vm_id) is not None


def test_a_migration_outlives_its_caller(
    hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor, two: Hypervisor, clock: SteppedClock
) -> None:
    hosts[0].migration_s = 10
    one.start(SPEC)

    def killed(_progress: object) -> None:
        raise Cut

    with pytest.raises(Cut):
        one.migrate(TWO, SPEC, progress=killed)
    assert one.domain(SPEC.vm_id) is not None
    report = one.migrate(TWO, SPEC, progress=quiet)
    assert report.total_ms == 10_000
    assert two.domain(SPEC.vm_id) is not None


def test_a_cancelled_migration_leaves_the_guest(
    hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor, two: Hypervisor
) -> None:
    hosts[0].migration_s = 10
    one.start(SPEC)
    with pytest.raises(MigrationFailedError, match="cancelled"):
        one.migrate(TWO, SPEC, progress=lambda _progress: one.cancel_migration(SPEC.vm_id))
    assert two.domain(SPEC.vm_id) is None


def test_a_guest_lost_in_flight_is_on_neither_side(
    memory_cloud: MemoryCloud, hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor
) -> None:
    hosts[0].migration_s = 10
    one.start(SPEC)
    with pytest.raises(DomainNotFoundError):
        one.migrate(TWO, SPEC, progress=lambda _progress: memory_cloud.end_domain("host1", SPEC.vm_id, "crashed"))


def test_a_moved_guest_carries_the_new_epoch(one: Hypervisor, two: Hypervisor) -> None:
    one.start(SPEC)
    one.migrate(TWO, replace(SPEC, epoch=SPEC.epoch + 1), progress=quiet)
    there = two.domain(SPEC.vm_id)
    assert there is not None
    assert there.epoch == SPEC.epoch + 1


def test_a_cut_off_host_tells_no_events(
    memory_cloud: MemoryCloud, hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor
) -> None:
    heard: list[DomainEvent] = []
    memory_cloud.listen(heard.append)
    one.start(SPEC)
    hosts[0].reachable = False
    memory_cloud.end_domain("host1", SPEC.vm_id, "crashed")
    assert [event.kind for event in heard] == ["started"]


def test_a_guest_stopped_by_a_failed_write_is_seen(memory_cloud: MemoryCloud, one: Hypervisor) -> None:
    one.start(SPEC)
    memory_cloud.stall("host1", SPEC.vm_id)
    there = one.domain(SPEC.vm_id)
    assert there is not None
    assert there.state == "io_error"


def test_a_guest_may_ignore_the_power_button(
    hosts: tuple[MemoryHost, MemoryHost], one: Hypervisor, clock: SteppedClock
) -> None:
    hosts[0].guests_ignore_power_button = True
    one.start(SPEC)
    one.shut_down(SPEC.vm_id)
    assert not one.wait_stopped(SPEC.vm_id, timeout_s=30)
    assert clock.now_s == 30
