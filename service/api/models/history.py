"""Models of measurements of hosts and VMs over time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from service.api.models.facts import series
from service.edge.models import Count, Instant, Query, Shown

LONGEST_S = 1000 * 86400  # longer than measurements are stored
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
AGO = re.compile(r"([0-9]{1,6})(s|min|h|d)")
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def _span(text: object) -> object:
    """Return a timedelta for a time span; else parse a time."""
    found = AGO.fullmatch(text) if isinstance(text, str) else None
    if found:
        return timedelta(seconds=min(int(found[1]) * SECONDS[found[2]], LONGEST_S))
    try:
        return _moment(text)
    except ValueError as error:
        raise ValueError(f"a time span like 30min, 24h or 7d, or {error}") from None


def _moment(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        return _instant(text)
    except (ValueError, OverflowError):
        raise ValueError("an RFC 3339 time like 2030-01-31T12:00:00Z") from None


def _instant(text: str) -> datetime:
    if not RFC_3339.fullmatch(text):
        raise ValueError(text)
    instant = datetime.fromisoformat(text.upper()).astimezone(UTC)
    if not 1971 <= instant.year <= 9000:  # times computed from it must be valid, too
        raise ValueError(text)
    return instant


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]


Begin = Annotated[datetime | timedelta, BeforeValidator(_span), WithJsonSchema({"type": "string"})]


class AskPast(Query):
    """Query of measurements: time span and step."""

    from_: Begin = Field(
        default=timedelta(hours=1),
        alias="from",
        description="Start: an RFC 3339 time, or a time span before `to` like 30min, 24h or 7d. Default: one hour.",
    )
    to: Moment | None = Field(default=None, description="End; default: now.")
    step: Annotated[Count, Field(ge=15, le=30 * 86400)] | None = Field(
        default=None, description="Seconds per point; larger if that step is not stored or gives too many points."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if isinstance(self.from_, datetime) and self.to is not None and self.from_ >= self.to:
            raise ValueError("`from` must be before `to`")
        return self


class Past(Shown):
    """Time span in steps, oldest first; steps without measurements are left out."""

    since: Instant
    until: Instant
    step_s: int


class VmPoint(Shown):
    """Measurements of a VM over a step up to `at`; CPUs and rates are averages."""

    at: Instant
    cpus: float | None
    memory_bytes: int | None
    read_bps: int | None
    written_bps: int | None
    received_bps: int | None
    sent_bps: int | None


class ShownVmPast(Past):
    """Measurements of a VM in at most 1,000 points."""

    points: list[VmPoint]


class HostPoint(Shown):
    """Usage of a host over a step up to `at`.

    Shares of its CPUs, CPUs that guests used, MiB, milliseconds.
    """

    __annotations__ = {"at": Instant, **series()}


class HostOutlook(Shown):
    """Forecast of a host: shares of its CPUs, 0 to 1; null without enough data.

    Average and peak (95th percentile) are of the last 24 hours, the forecast is for the next four. The trend is the
    growth of the daily average per day. The pattern is the mean of each hour of the day, 0 to 23 UTC.
    """

    cpu_average: float | None
    cpu_peak: float | None
    cpu_forecast: float | None
    cpu_trend_per_day: float | None
    cpu_pattern: list[float | None]


class ShownHostPast(Past):
    """Measurements of a host in at most 1,000 points, and its forecast."""

    points: list[HostPoint]
    outlook: HostOutlook
