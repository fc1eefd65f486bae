"""Deadlines for calls that cannot be interrupted, by a few threads per host.

Threads are shared by all hosts and assigned to one only while it has calls: ten thousand idle hosts have none.
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
    """Pool of threads: started when none is free, ended after a long idle time."""

    def __init__(self, name: str = "calls") -> None:
        self._name = name
        self._todo: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._idle = 0

    def start(self, function: Callable[[], None]) -> None:
        """Run `function`, which must not raise, in one of the threads, at once."""
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
            except BaseException as error:  # noqa: BLE001  passed on to the waiting caller
                self._error = error
        self.done.set()

    def outcome(self) -> Result:
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # always set if there is no error


class BoundedCalls:
    """Runner of at most `most` calls at once.

    A call that hangs keeps its thread; its caller continues at the deadline.
    """

    def __init__(self, crew: Crew, *, most: int = MOST_PER_HOST) -> None:
        self._crew = crew
        self._most = most
        self._waiting: deque[_Call[object]] = deque()
        self._lock = threading.Lock()
        self._at_work = 0  # threads of the crew

    def run(self, function: Callable[[], Result], *, timeout_s: float) -> Result:
        """Return `function()`. Raises TimeoutError after `timeout_s`; it may still run."""
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
        """Return the next call; None when this thread must return to the crew."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._at_work -= 1
            return None
