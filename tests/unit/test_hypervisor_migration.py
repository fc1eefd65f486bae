"""The migration's own logic on two pretended sides: every way a hand-over can go wrong, without a host."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from service.hypervisor.contract import HostEndpoint, MigrationProgress, MigrationReport
from service.hypervisor.errors import (
    DomainNotFoundError,
    DomainRefusedError,
    DomainTwiceError,
    HostUnreachableError,
    MigrationFailedError,
    MigrationUnclearError,
)
from service.hypervisor.events import EventHub, Signal, Watch
from service.hypervisor.migration import hand_over as hand_over_module
from service.hypervisor.migration.migration import Migration
from service.hypervisor.migration.migration_side import Finished
from service.hypervisor.migration.verdict import Presence
from service.hypervisor.render import render
from tests.domain_cases import ORDINARY


@dataclass
class Side:
    """One host: what is there, and what its hypervisor does when asked to migrate."""

    name: str
    here: Presence = Presence.GONE
    sends: Callable[[], None] = lambda: None
    reachable: bool = True
    unwilling: bool = False
    done: list[str] = field(default_factory=list)
    hub: EventHub = field(default_factory=EventHub)

    @property
    def endpoint(self) -> HostEndpoint:
        return HostEndpoint(self.name, "192.0.2.1")

    @contextmanager
    def watch(self, vm_id: str) -> Iterator[Watch]:
        with self.hub.watch(self.name, vm_id) as watch:
            yield watch

    def signal(self, kind: str) -> None:
        self.hub.publish(self.name, ORDINARY.vm_id, kind)

    def presence(self, vm_id: str) -> Presence:
        if not self.reachable:
            raise HostUnreachableError(self.name)
        return self.here

    def live_xml(self, vm_id: str) -> str:
        return render(ORDINARY)

    def send(self, vm_id: str, target: HostEndpoint, xml: str) -> None:
        self.done.append("send")
        self.sends()

    def progress(self, vm_id: str) -> MigrationProgress | None:
        return MigrationProgress("copying", 1, 1, 2) if self.presence(vm_id) is Presence.LEAVING else None

    def resume(self, vm_id: str) -> None:
        self._act("resume", Presence.RUNNING)
        self.signal("resumed")

    def destroy(self, vm_id: str) -> None:
        self._act("destroy", Presence.GONE)

    def finished(self, vm_id: str) -> Finished | None:
        return Finished(total_ms=7, downtime_ms=1, transferred_bytes=99)

    def _act(self, what: str, after: Presence) -> None:
        self.done.append(what)
        if self.unwilling:
            raise DomainRefusedError("not now")
        self.here = after


@pytest.fixture
def source() -> Side:
    return Side("here", Presence.RUNNING)


@pytest.fixture
def target() -> Side:
    return Side("there")


def migrate(source: Side, target: Side) -> MigrationReport:
    return Migration(source, target, ORDINARY, settle_s=0.1).run(lambda _progress: None)


def moves(source: Side, target: Side, *, source_after: Presence, target_after: Presence, error: str = "") -> None:
    """What the hypervisor's migration leaves on both sides."""

    def send() -> None:
        source.signal("suspended")
        source.here, target.here = source_after, target_after
        if error:
            raise DomainRefusedError(error)

    source.sends = send


def test_a_guest_that_landed_paused_is_resumed_once_the_source_has_let_go(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.GONE, target_after=Presence.PAUSED)
    report = migrate(source, target)
    assert target.done == ["resume"]
    assert target.here is Presence.RUNNING
    assert report.transferred_bytes == 99
    assert report.downtime_ms is not None


def test_a_guest_that_landed_running_is_left_alone(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.GONE, target_after=Presence.RUNNING)
    migrate(source, target)
    assert target.done == []


def test_an_error_is_no_failure_when_the_guest_arrived(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.GONE, target_after=Presence.PAUSED, error="connection reset")
    migrate(source, target)
    assert target.here is Presence.RUNNING


def test_a_failure_says_why_and_leaves_the_guest_running(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.RUNNING, target_after=Presence.GONE, error="no route to host")
    with pytest.raises(MigrationFailedError, match="no route to host"):
        migrate(source, target)
    assert source.here is Presence.RUNNING


def test_a_paused_copy_goes_when_the_source_runs_on(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.RUNNING, target_after=Presence.PAUSED, error="reply lost")
    with pytest.raises(MigrationFailedError):
        migrate(source, target)
    assert (source.here, target.here) == (Presence.RUNNING, Presence.GONE)
    assert source.done == ["send"]


def test_a_guest_that_runs_twice_is_told_and_neither_is_touched(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.RUNNING, target_after=Presence.RUNNING, error="reply lost")
    with pytest.raises(DomainTwiceError):
        migrate(source, target)
    assert (source.done, target.done) == (["send"], [])


def test_a_stopped_original_goes_when_the_copy_runs(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.PAUSED, target_after=Presence.RUNNING, error="reply lost")
    migrate(source, target)
    assert source.here is Presence.GONE


def test_two_stopped_halves_become_the_original(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.PAUSED, target_after=Presence.PAUSED, error="daemon restarted")
    with pytest.raises(MigrationFailedError):
        migrate(source, target)
    assert (source.here, target.here) == (Presence.RUNNING, Presence.GONE)


def test_a_guest_on_neither_side_is_not_found(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.GONE, target_after=Presence.GONE)
    with pytest.raises(DomainNotFoundError):
        migrate(source, target)


def test_a_target_that_went_silent_is_no_failed_migration(source: Side, target: Side) -> None:
    def send() -> None:
        target.reachable = False

    source.sends = send
    with pytest.raises(HostUnreachableError):
        migrate(source, target)
    assert source.done == ["send"]


def test_what_does_not_settle_is_unclear_and_never_failed(source: Side, target: Side) -> None:
    moves(source, target, source_after=Presence.GONE, target_after=Presence.ARRIVING)
    with pytest.raises(MigrationUnclearError):
        migrate(source, target)


def test_a_host_that_will_not_act_leaves_it_unclear(source: Side, target: Side) -> None:
    target.unwilling = True
    moves(source, target, source_after=Presence.GONE, target_after=Presence.PAUSED)
    with pytest.raises(MigrationUnclearError):
        migrate(source, target)


def test_a_migration_under_way_is_followed_and_not_begun_again(source: Side, target: Side) -> None:
    source.here, target.here = Presence.LEAVING, Presence.ARRIVING

    def arrive(_progress: MigrationProgress) -> None:
        source.here, target.here = Presence.GONE, Presence.PAUSED
        source.signal("migrated")

    report = Migration(source, target, ORDINARY).run(arrive)
    assert source.done == []
    assert target.here is Presence.RUNNING
    assert report.total_ms == 7


def test_a_followed_migration_that_fails_is_not_tried_again(source: Side, target: Side) -> None:
    source.here, target.here = Presence.LEAVING, Presence.ARRIVING

    def fail(_progress: MigrationProgress) -> None:
        source.here, target.here = Presence.RUNNING, Presence.GONE

    with pytest.raises(MigrationFailedError):
        Migration(source, target, ORDINARY).run(fail)
    assert source.done == []


def test_what_arrived_while_nobody_watched_is_resumed(source: Side, target: Side) -> None:
    source.here, target.here = Presence.GONE, Presence.PAUSED
    migrate(source, target)
    assert (source.done, target.done) == ([], ["resume"])


def test_a_guest_already_there_counts_as_moved(source: Side, target: Side) -> None:
    source.here, target.here = Presence.GONE, Presence.RUNNING
    assert migrate(source, target).downtime_ms is None
    assert (source.done, target.done) == ([], [])


def test_a_lost_reply_ends_the_stopped_original_before_it_can_wake(
    source: Side, target: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over_module, "HAND_OVER_S", 0.0)
    never = threading.Event()

    def hang() -> None:
        source.signal("suspended")
        source.here, target.here = Presence.LEAVING, Presence.PAUSED
        target.signal("suspended")
        never.wait(60)

    source.sends = hang
    migrate(source, target)
    never.set()
    assert (source.here, target.here) == (Presence.GONE, Presence.RUNNING)


def test_an_original_that_woke_as_it_was_ended_takes_the_outdated_copy_with_it(
    source: Side, target: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over_module, "HAND_OVER_S", 0.0)
    never = threading.Event()

    def hang() -> None:
        for kind in ("suspended", "resumed"):
            source.signal(kind)
        source.here, target.here = Presence.LEAVING, Presence.PAUSED
        target.signal("suspended")
        never.wait(60)

    source.sends = hang
    with pytest.raises(DomainNotFoundError):
        migrate(source, target)
    never.set()
    assert target.done == ["destroy"]


def test_downtime_is_from_the_last_stop_to_the_next_start() -> None:
    left, landed = Watch(), Watch()
    for watch, kind, at_s in ((left, "suspended", 10.0), (landed, "suspended", 10.05), (landed, "resumed", 10.25)):
        watch.put(Signal(kind, at_s))
    assert hand_over_module.HandOver(left, landed).downtime_ms() == 250
