"""Waiting for an end state of the world outside, which sends no events: ask again until it is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
DEADLINE_S = 180.0  # generous: it bounds a failure, it measures nothing
ASK_AGAIN_S = 0.2


def eventually(what: str, look: Callable[[], Found | None], *, within_s: float = DEADLINE_S) -> Found:
    """The first true answer of `look`; AssertionError names what did not come about and the last answer."""
    give_up = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < give_up, f"{what}: not within {within_s:.0f} s, last answer {found!r}"
        time.sleep(ASK_AGAIN_S)
    return found
