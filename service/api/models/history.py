"""What was measured of hosts and VMs over time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from service.edge.models import Count, Instant, Query, Shown

LONGEST_S = 1000 * 86400  # nothing is kept for so long
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
AGO = re.compile(r"([0-9]{1,6})(s|min|h|d)")
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def _span(text: object) -> object:
    """How long before, when it is said so; else as it is."""
    found = AGO.fullmatch(text) if isinstance(text, str) else None
    if found:
        return timedelta(seconds=min(int(found[1]) * SECONDS[found[2]], LONGEST_S))
    try:
        return _moment(text)
    except ValueError as error:
        raise ValueError(f"how long before, say 30min, 24h or 7d, or {error}") from None


def _moment(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return _instant(text)
    except (ValueError, OverflowError):
        raise ValueError("an instant as RFC 3339 has it, say 2030-01-31T12:00:00Z") from None


def _instant(text: str) -> datetime:
    if not RFC_3339.fullmatch(text):
        raise ValueError(text)
    instant = datetime.fromisoformat(text.upper()).astimezone(UTC)
    if not 1971 <= instant.year <= 9000:  # what is reckoned from it must be an instant, too
        raise ValueError(text)
    return instant


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]


Begin = Annotated[datetime | timedelta, BeforeValidator(_span), WithJsonSchema({"type": "string"})]


class AskPast(Query):
    """Which part of the past, and how fine."""

    from_: Begin = Field(
        default=timedelta(hours=1),
        alias="from",
        description="Since when: an instant, or how long before `to`, say 30min, 24h or 7d. An hour unless told.",
    )
    to: Moment | None = Field(default=None, description="Until when; now unless told.")
    step: Annotated[Count, Field(ge=15, le=30 * 86400)] | None = Field(
        default=None, description="Seconds of a point; wider where that is not kept, or where points were too many."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if isinstance(self.from_, datetime) and self.to is not None and self.from_ >= self.to:
            raise ValueError("`from` must be before `to`")
        return self


class Past(Shown):
    """A part of the past in steps, of which those are told that something is known of, the oldest first."""

    since: Instant
    until: Instant
    step_s: int


class VmPoint(Shown):
    """A VM over a step up to `at`: CPUs used on average, bytes, bytes per second."""

    at: Instant
    cpus: float | None
    memory_bytes: int | None
    read_bps: int | None
    written_bps: int | None
    received_bps: int | None
    sent_bps: int | None


class ShownVmPast(Past):
    """A VM's past, in at most 1,000 points."""

    points: list[VmPoint]


class HostPoint(Shown):
    """A host over a step up to `at`: shares of its CPUs (of them Ceph's), CPUs that guests used, MiB, milliseconds."""

    at: Instant
    cpu: float | None
    ceph_cpu: float | None
    guest_cpus: float | None
    memory_used_mib: int | None
    ksm_saved_mib: int | None
    osd_latency_ms: float | None


class HostOutlook(Shown):
    """Shares of the host's CPUs, 0 to 1; null where too little is known yet.

    Average and peak (95th percentile) are of the last 24 hours, the forecast is of the coming four. The trend is by how
    much a day's average grows per day. The pattern is what each hour of the day was like, 0 to 23 o'clock UTC.
    """

    cpu_average: float | None
    cpu_peak: float | None
    cpu_forecast: float | None
    cpu_trend_per_day: float | None
    cpu_pattern: list[float | None]


class ShownHostPast(Past):
    """A host's past, in at most 1,000 points, and what is made of it for decisions."""

    points: list[HostPoint]
    outlook: HostOutlook
