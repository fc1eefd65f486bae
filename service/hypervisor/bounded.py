"""Calls that nothing can interrupt, made under a deadline all the same: a few threads per host, never one per try."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Result = TypeVar("Result")
IDLE_S = 60.0


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
    """At most `max_threads` calls at once. One that hangs keeps its thread; its caller goes on at the deadline."""

    def __init__(self, name: str, *, max_threads: int = 8) -> None:
        self._name = name
        self._max_threads = max_threads
        self._waiting: SimpleQueue[_Call[object] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._pending = 0  # calls queued or running

    def run(self, function: Callable[[], Result], *, timeout_s: float) -> Result:
        """`function()`, or TimeoutError after `timeout_s`; the function may still be running then."""
        call = _Call(function)
        with self._lock:
            self._pending += 1
            start = self._pending > self._threads and self._threads < self._max_threads
            self._threads += start
        self._waiting.put(call)  # type: ignore[arg-type]  # results are of any type
        if start:
            threading.Thread(target=self._work, name=f"calls-{self._name}", daemon=True).start()
        if not call.done.wait(timeout_s):
            call.abandoned = True
            raise TimeoutError
        return call.outcome()

    def close(self) -> None:
        """End the threads that are idle now, and the others after their call."""
        with self._lock:
            threads = self._threads
        for _ in range(threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.run()
            with self._lock:
                self._pending -= 1

    def _next(self) -> _Call[object] | None:
        """The next call; None when this thread is to end."""
        while True:
            try:
                call = self._waiting.get(timeout=IDLE_S)
            except Empty:
                call = None
            if call is not None:
                return call
            with self._lock:
                if self._pending < self._threads:  # otherwise a call just handed in counts on this thread
                    self._threads -= 1
                    return None
