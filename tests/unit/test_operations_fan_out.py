"""Very many questions by few threads: nobody quick waits for somebody slow, and nobody is forgotten."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

from service.operations.observe import fan_out as lanes_module
from service.operations.observe.fan_out import Lanes
from service.world import SystemClock, SystemThreads

CTX = SimpleNamespace(clock=SystemClock(), threads=SystemThreads())


def lanes(ask) -> Lanes:
    return Lanes(CTX, "test-lane", ask)


def running() -> int:
    return sum(thread.name.startswith("test-lane") for thread in threading.enumerate())


def test_everybody_is_asked_once_and_answers_come_in_portions():
    some = list(lanes(lambda item: item * 2).answers(range(1000), at_once=50, patience_s=5))
    assert sorted(one for portion in some for one in portion) == [(item, item * 2) for item in range(1000)]
    assert max(map(len, some)) <= 50


def test_nobody_to_ask_is_nothing_to_do():
    assert list(lanes(str).answers([], at_once=5, patience_s=5)) == []


def test_as_few_threads_as_are_allowed_ask(monkeypatch):
    monkeypatch.setattr(lanes_module, "QUICK_LANES", 3)
    most = []

    def ask(item):
        most.append(running())
        return item

    list(lanes(ask).answers(range(300), at_once=50, patience_s=5))
    assert max(most) <= 3


def test_the_slow_give_their_lanes_to_the_quick(monkeypatch):
    """More hosts hang than there are lanes; all others have answered long before the hanging ones are given up."""
    monkeypatch.setattr(lanes_module, "QUICK_LANES", 4)
    monkeypatch.setattr(lanes_module, "SLOW_S", 0.1)
    release, began_s, quick = threading.Event(), time.monotonic(), []

    def ask(item):
        if item < 20:
            release.wait(30)
        return item

    asked = lanes(ask)
    for portion in asked.answers(range(200), at_once=10, patience_s=1.5):
        quick += [item for item, _ in portion]
    assert sorted(quick) == list(range(20, 200))
    assert asked.unasked == ()
    assert time.monotonic() - began_s < 15
    release.set()


def test_there_is_a_most_and_who_was_not_asked_is_told(monkeypatch):
    monkeypatch.setattr(lanes_module, "QUICK_LANES", 2)
    monkeypatch.setattr(lanes_module, "MOST_LANES", 3)
    monkeypatch.setattr(lanes_module, "SLOW_S", 0.05)
    release = threading.Event()
    asked = lanes(lambda item: release.wait(30))
    assert list(asked.answers(range(10), at_once=5, patience_s=0.6)) == []
    assert asked.unasked == tuple(range(3, 10))
    assert running() == 3
    release.set()


def test_the_lanes_end_with_the_questions():
    list(lanes(lambda item: item).answers(range(10), at_once=5, patience_s=5))
    deadline = time.monotonic() + 5
    while running() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert running() == 0
