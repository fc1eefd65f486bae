from __future__ import annotations

import threading

import pytest

from service.hypervisor.bounded import BoundedCalls


def test_a_call_gives_its_result() -> None:
    assert BoundedCalls("t").run(lambda: 42, timeout_s=5) == 42


def test_a_call_gives_its_error() -> None:
    with pytest.raises(ZeroDivisionError):
        BoundedCalls("t").run(lambda: 1 // 0, timeout_s=5)


def test_a_hanging_call_lets_its_caller_go_and_others_through() -> None:
    calls, release = BoundedCalls("t", max_threads=2), threading.Event()
    with pytest.raises(TimeoutError):
        calls.run(release.wait, timeout_s=0.05)
    assert calls.run(lambda: "through", timeout_s=5) == "through"
    release.set()


def test_hanging_calls_never_take_more_threads_than_allowed() -> None:
    calls, release = BoundedCalls("bounded", max_threads=2), threading.Event()
    for _ in range(6):
        with pytest.raises(TimeoutError):
            calls.run(release.wait, timeout_s=0.02)
    assert sum(thread.name == "calls-bounded" for thread in threading.enumerate()) == 2
    release.set()


def test_a_call_nobody_waits_for_any_more_is_not_made() -> None:
    calls, release, made = BoundedCalls("t", max_threads=1), threading.Event(), []
    for function in (release.wait, lambda: made.append("late")):
        with pytest.raises(TimeoutError):
            calls.run(function, timeout_s=0.02)
    release.set()
    assert calls.run(lambda: "after", timeout_s=5) == "after"
    assert made == []


def test_many_callers_all_get_their_own_answer() -> None:
    calls, answers = BoundedCalls("t", max_threads=3), {}

    def ask(number: int) -> None:
        answers[number] = calls.run(lambda: number * number, timeout_s=10)

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert answers == {number: number * number for number in range(50)}


def test_calls_still_work_after_the_threads_were_ended() -> None:
    calls = BoundedCalls("ended")
    calls.run(lambda: None, timeout_s=5)
    calls.close()
    for thread in [thread for thread in threading.enumerate() if thread.name == "calls-ended"]:
        thread.join(5)
    assert calls.run(lambda: 7, timeout_s=5) == 7
