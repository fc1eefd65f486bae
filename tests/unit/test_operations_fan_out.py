"""Very many questions by few threads: nobody quick waits for somebody slow, and nobody is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from service.operations.observe import fan_out as lanes_module
from service.operations.observe.fan_out import Lanes
from service.world import SystemClock, SystemThreads

PATIENCE_S = 600.0  # longer than a test may last


class SkippingClock(SystemClock):
    """The real clock, which skips an hour as soon as something is so."""

    def __init__(self, is_so: Callable[[], bool]) -> None:
        self._is_so = is_so
        self._skipped_s = 0.0

    def monotonic(self) -> float:
        if not self._skipped_s and self._is_so():
            self._skipped_s = 3600.0
        return super().monotonic() + self._skipped_s


def lanes(ask, clock=None) -> Lanes:
    return Lanes(SimpleNamespace(clock=clock or SystemClock(), threads=SystemThreads()), "test-lane", ask)


@pytest.fixture(autouse=True)
def no_lane_stays():
    """No test sees the threads of the one before it."""
    yield
    wait_until_ended()


def wait_until_ended() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("test-lane"):
            thread.join(60)
    assert running() == 0


def running() -> int:
    return sum(thread.name.startswith("test-lane") for thread in threading.enumerate())


def test_everybody_is_asked_once_and_answers_come_in_portions():
    some = list(lanes(lambda item: item * 2).answers(range(1000), at_once=50, patience_s=PATIENCE_S))
    assert sorted(one for portion in some for one in portion) == [(item, item * 2) for item in range(1000)]
    assert max(map(len, some)) <= 50


def test_nobody_to_ask_is_nothing_to_do():
    assert list(lanes(str).answers([], at_once=5, patience_s=PATIENCE_S)) == []


def test_as_few_threads_as_are_allowed_ask(monkeypatch):
    monkeypatch.setattr(lanes_module, "QUICK_LANES", 3)
    most = []

    def ask(item):
        most.append(running())
        return item

    list(lanes(ask).answers(range(300), at_once=50, patience_s=PATIENCE_S))
    assert max(most) <= 3


def test_the_slow_give_their_lanes_to_the_quick(monkeypatch):
    """More hosts hang than there are lanes; all others have answered long before the hanging ones are given up."""
    monkeypatch.setattr(lanes_module, "QUICK_LANES", 4)
    monkeypatch.setattr(lanes_module, "SLOW_S", 0.1)
    release, quick = threading.Event(), []

    def ask(item):
        if item < 20:
            release.wait(60)
        return item

    asked = lanes(ask, SkippingClock(lambda: len(quick) == 180))
    for portion in asked.answers(range(200), at_once=10, patience_s=PATIENCE_S):
        quick += [item for item, _ in portion]
    assert sorted(quick) == list(range(20, 200))
    assert asked.unasked == ()
    release.set()


def test_there_is_a_most_and_who_was_not_asked_is_told(monkeypatch):
    monkeypatch.setattr(lanes_module, "QUICK_LANES", 2)
    monkeypatch.setattr(lanes_module, "MOST_LANES", 3)
    monkeypatch.setattr(lanes_module, "SLOW_S", 0.05)
    release = threading.Event()
    asked = lanes(lambda item: release.wait(60), SkippingClock(lambda: running() == 3))
    assert list(asked.answers(range(10), at_once=5, patience_s=PATIENCE_S)) == []
    assert asked.unasked == tuple(range(3, 10))
    assert running() == 3
    release.set()


def test_the_lanes_end_with_the_questions():
    list(lanes(lambda item: item).answers(range(10), at_once=5, patience_s=PATIENCE_S))
    wait_until_ended()
