"""Calls that nothing can interrupt, made under a deadline all the same: a few threads per host, never one per try.

Threads are shared by all hosts and belong to one only while it is at work: ten thousand idle hosts have none.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")
IDLE_S = 10.0
MOST_PER_HOST = 8


class Crew:
    """Threads that wait for something to do: one is started when none is free, and ends when it was idle for long."""

    def __init__(self, name: str = "calls") -> None:
        self._name = name
        self._todo: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._idle = 0

    def start(self, function: Callable[[], None]) -> None:
        """Run `function`, which raises nothing, in one of the threads, at once."""
        with self._changed:
            self._todo.append(function)
            if self._idle >= len(self._todo):
                self._changed.notify()
                return
        threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def _work(self) -> None:
        while (function := self._next()) is not None:
            function()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._todo, IDLE_S)
            self._idle -= 1
            return self._todo.popleft() if self._todo else None


class _Call(Generic[Result]):
    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self._result: Result | None = None
        self._error: BaseException | None = None
        self.abandoned = False
        self.done = threading.Event()

    def run(self) -> None:
        if not self.abandoned:
            try:
                self._result = self._function()
            except BaseException as error:  # noqa: BLE001  handed to the caller, who waits
                self._error = error
        self.done.set()

    def outcome(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set whenever there is no error


class BoundedCalls:
    """At most `most` calls at once. One that hangs keeps its thread; its caller goes on at the deadline."""

    def __init__(self, crew: Crew, *, most: int = MOST_PER_HOST) -> None:
        self._crew = crew
        self._most = most
        self._waiting: deque[_Call[object]] = deque()
        self._lock = threading.Lock()
        self._at_work = 0  # threads of the crew

    def run(self, function: Callable[[], Result], *, timeout_s: float) -> Result:
        """`function()`, or TimeoutError after `timeout_s`; the function may still be running then."""
        call = _Call(function)
        with self._lock:
            self._waiting.append(call)  # type: ignore[arg-type]  # results are of any type
            more = self._at_work < self._most
            self._at_work += more
        if more:
            self._crew.start(self._work)
        if not call.done.wait(timeout_s):
            call.abandoned = True
            raise TimeoutError
        return call.outcome()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.run()

    def _next(self) -> _Call[object] | None:
        """The next call; None when this thread is to go back to the crew."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._at_work -= 1
            return None
