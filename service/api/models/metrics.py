"""Models of a VM's measurements."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.edge.models import Count, Instant, Query, Shown


class AskHistory(Query):
    """Query of a VM's measurements."""

    minutes: Annotated[Count, Field(ge=1, le=20160)] = 60


class ShownSample(Shown):
    """Measurements over one step up to `at`: average CPUs, bytes, bytes per second."""

    at: Instant
    cpus: float
    memory_bytes: int
    read_bps: int
    written_bps: int
    received_bps: int
    sent_bps: int


class ShownHistory(Shown):
    """Measurements of a VM, oldest first."""

    step_s: int
    samples: list[ShownSample]
