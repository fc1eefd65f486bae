from __future__ import annotations

import threading

import pytest

from service.hypervisor.libvirt_link import bounded
from service.hypervisor.libvirt_link.bounded import BoundedCalls, Crew


def test_a_call_gives_its_result() -> None:
    assert BoundedCalls(Crew()).run(lambda: 42, timeout_s=60) == 42


def test_a_call_gives_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        BoundedCalls(Crew()).run(lambda: 1 // 0, timeout_s=60)


def test_a_hanging_call_lets_its_caller_go_and_others_through() -> None:
    calls, release = BoundedCalls(Crew(), most=2), threading.Event()
    with pytest.raises(TimeoutError):
        calls.run(release.wait, timeout_s=0.05)
    assert calls.run(lambda: "through", timeout_s=60) == "through"
    release.set()


def test_hanging_calls_never_take_more_threads_than_allowed() -> None:
    calls, release = BoundedCalls(Crew("bounded"), most=2), threading.Event()
    for _ in range(6):
        with pytest.raises(TimeoutError):
            calls.run(release.wait, timeout_s=0.02)
    assert sum(thread.name == "bounded" for thread in threading.enumerate()) == 2
    release.set()


def test_a_call_nobody_waits_for_any_more_is_not_made() -> None:
    calls, release, made = BoundedCalls(Crew(), most=1), threading.Event(), []
    for function in (release.wait, lambda: made.append("late")):
        with pytest.raises(TimeoutError):
            calls.run(function, timeout_s=0.02)
    release.set()
    assert calls.run(lambda: "after", timeout_s=60) == "after"
    assert made == []


def test_many_callers_all_get_their_own_answer() -> None:
    calls, answers = BoundedCalls(Crew(), most=3), {}

    def ask(number: int) -> None:
        answers[number] = calls.run(lambda: number * number, timeout_s=60)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert answers == {number: number * number for number in range(50)}


def test_a_thousand_hosts_share_the_threads_that_one_at_a_time_needs() -> None:
    crew = Crew("shared")
    for _ in range(1000):
        assert BoundedCalls(crew).run(lambda: 1, timeout_s=60) == 1
    assert sum(thread.name == "shared" for thread in threading.enumerate()) <= 2


def test_threads_that_nobody_needs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "IDLE_S", 0.05)
    calls = BoundedCalls(Crew("idle"))
    calls.run(lambda: None, timeout_s=60)
    for thread in [thread for thread in threading.enumerate() if thread.name == "idle"]:
        thread.join(60)
        assert not thread.is_alive()
    assert calls.run(lambda: 7, timeout_s=60) == 7
