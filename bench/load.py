"""Keep a server busy over a few connections, and tell its requests per second and its slowest hundredth."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.http_client import Connection
from bench.servers import ADDRESS

CLIENTS = 4
WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Load:
    """Seconds of every request, and of all of them together."""

    took: tuple[float, ...]
    seconds: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.took) / self.seconds

    @property
    def p99(self) -> float:
        """Seconds within which 99 of 100 requests were answered."""
        return sorted(self.took)[math.ceil(len(self.took) * 0.99) - 1]

    def __add__(self, other: Load) -> Load:
        return Load(self.took + other.took, self.seconds + other.seconds)


NOTHING = Load((), 0.0)


def load(port: int, requests: Sequence[bytes], expected: bytes | None = None, *, warm_up: int = WARM_UP) -> Load:
    """Send `requests`, dealt out to CLIENTS connections, `warm_up` of each share once before the clock runs.

    Raises RuntimeError for an answer that is not `expected`.
    """
    took: list[float] = []
    wrong: list[bytes] = []
    with_all = threading.Barrier(CLIENTS + 1)

    def client(mine: Sequence[bytes]) -> None:
        with Connection(ADDRESS, port) as connection:
            for request in mine[:warm_up]:
                connection.ask(request)
            with_all.wait()
            for request in mine:
                begun = time.perf_counter()
                status, body = connection.ask(request)
                took.append(time.perf_counter() - begun)
                if status != 200 or (expected is not None and body != expected):
                    wrong.append(body[:300])
                    return

    every = [threading.Thread(target=client, args=(requests[number::CLIENTS],)) for number in range(CLIENTS)]
    for thread in every:
        thread.start()
    with_all.wait()
    begun = time.perf_counter()
    for thread in every:
        thread.join()
    if wrong:
        raise RuntimeError(f"a wrong answer: {wrong[0]!r}")
    return Load(tuple(took), time.perf_counter() - begun)
