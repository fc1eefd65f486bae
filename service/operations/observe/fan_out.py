"""One question to very many hosts, asked by few threads: who is slow holds one of his own, who is quick waits for none.

A lane asks one host after the other. One that has waited for an answer for more than a moment no longer counts, and
another is opened in its place: a hundred hosts that fall silent together
delay no other, and cost that many threads once.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from service.context import Context
from service.logs import carried

Item = TypeVar("Item")
Answer = TypeVar("Answer")

QUICK_LANES = 64
MOST_LANES = 256
SLOW_S = 1.0
LOOK_S = 0.25  # how often it is looked whether lanes have become slow


@dataclass(slots=True)
class Lanes(Generic[Item, Answer]):
    """`ask` never raises. Used once: `answers()` begins it."""

    ctx: Context
    name: str
    ask: Callable[[Item], Answer]
    unasked: tuple[Item, ...] = ()
    _todo: deque[Item] = field(default_factory=deque)
    _done: deque[tuple[Item, Answer]] = field(default_factory=deque)
    _began: dict[int, float] = field(default_factory=dict)  # lane → when it put its question
    _lanes: int = 0
    _enough: int = 1  # answers that are worth waking up for
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _news: threading.Event = field(default_factory=threading.Event)

    def answers(self, items: Sequence[Item], *, at_once: int, patience_s: float) -> Iterator[list[tuple[Item, Answer]]]:
        """The answers as they come, at most `at_once` together and soon after they came.

        Ends when all have answered, or with no answer for `patience_s`: who is missing then has not answered, but for
        those in `unasked`.
        """
        self._todo.extend(items)
        heard_s, left = self.ctx.clock.monotonic(), len(items)
        while left:
            self._enough = min(at_once, left)
            self._open_lanes()
            self.ctx.clock.wait(self._news, LOOK_S)
            self._news.clear()
            while self._done:
                some = [self._done.popleft() for _ in range(min(at_once, len(self._done)))]
                heard_s, left = self.ctx.clock.monotonic(), left - len(some)
                yield some
            if self.ctx.clock.monotonic() - heard_s > patience_s:
                self._give_up()
                return

    def _give_up(self) -> None:
        with self._lock:
            self.unasked = tuple(self._todo)
            self._todo.clear()

    def _open_lanes(self) -> None:
        now_s = self.ctx.clock.monotonic()
        with self._lock:
            slow = sum(now_s - began_s > SLOW_S for began_s in self._began.values())
            wanted = min(len(self._todo), QUICK_LANES + slow - len(self._began), MOST_LANES - len(self._began))
            numbers = [self._lanes + number for number in range(wanted)]
            self._lanes += len(numbers)
            self._began |= dict.fromkeys(numbers, now_s)
        for number in numbers:
            self.ctx.threads.start(f"{self.name}-{number}", carried(functools.partial(self._run, number)))

    def _run(self, number: int) -> None:
        while self._todo_next(number):
            pass

    def _todo_next(self, number: int) -> bool:
        with self._lock:
            if not self._todo:
                del self._began[number]
                return False
            item = self._todo.popleft()
            self._began[number] = self.ctx.clock.monotonic()
        answer = self.ask(item)
        self._done.append((item, answer))
        if len(self._done) >= self._enough:
            self._news.set()
        return True
