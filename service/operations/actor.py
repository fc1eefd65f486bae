"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is the token's; `role` says what it may do; `request_id` ties job, audit and log to the call."""

    name: str
    role: str
    request_id: str


SERVICE = Actor(name="nacre", role="admin", request_id="-")
