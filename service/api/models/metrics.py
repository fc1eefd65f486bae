"""Measurements of a VM."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.edge.models import Count, Instant, Query, Shown


class AskHistory(Query):
    """How far back."""

    minutes: Annotated[Count, Field(ge=1, le=20160)] = 60


class ShownSample(Shown):
    """A step of time up to `at`: CPUs used on average, bytes, bytes per second."""

    at: Instant
    cpus: float
    memory_bytes: int
    read_bps: int
    written_bps: int
    received_bps: int
    sent_bps: int


class ShownHistory(Shown):
    """A VM's measurements, the oldest first."""

    step_s: int
    samples: list[ShownSample]
