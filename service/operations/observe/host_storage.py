"""What the storage goes through on every host, written to the hosts' rows where it matters to a decision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from service.context import Context
from service.db import change_counter
from service.db.tables import Host
from service.facts import codec
from service.facts import host as facts
from service.facts.fact import facts_of
from service.json_types import Json, JsonObject
from storage.facts import HostStorage

# Of a latency: what differs by less tells nothing new.
SAME_MS, SAME_SHARE = 0.5, 0.1
LATENCIES = tuple(one.name for one in facts_of(facts.HostStorage) if one.about.unit == "ms")
MOST_MS = 1e7  # more is nonsense, as is less than nothing: such a host is ruled out, and the others are written
LEAST_MS = 0.01  # nothing would stay nothing, whatever comes
NO_NUMBER = -1.0  # JSON has no word for NaN
# An unchanged host is written again after this share of the age that facts are trusted to.
REWRITE_AFTER = 1 / 3

Seen = JsonObject


def record(ctx: Context, seen: Iterable[HostStorage]) -> None:
    """Inside the caller's transaction. `storage_observed_at` may lag behind the look by REWRITE_AFTER, never more."""
    by_name, now = {host.host: host for host in seen}, ctx.clock.now()
    since = (Host.id, Host.name, Host.storage, Host.storage_observed_at)
    same: list[str] = []
    for row in Host.select(*since):
        trusted = _age_s(row, now) <= ctx.settings.facts_max_age_s
        found = _kept(by_name.get(row.name), row.storage if trusted else None)
        if not is_same(row.storage, found):
            _write([row.id], storage=found, storage_observed_at=now)
        elif _age_s(row, now) >= ctx.settings.facts_max_age_s * REWRITE_AFTER:
            same.append(row.id)
    _write(same, storage_observed_at=now)


def _write(ids: list[str], **values: Any) -> None:
    for first in range(0, len(ids), change_counter.AT_ONCE):
        Host.update(**values).where(Host.id.in_(ids[first : first + change_counter.AT_ONCE])).execute()
    if ids:
        change_counter.touch(ids)


def _age_s(row: Host, now: datetime) -> float:
    return (now - row.storage_observed_at).total_seconds() if row.storage_observed_at else float("inf")


def _kept(host: HostStorage | None, before: Mapping[str, Json] | None) -> Seen | None:
    """As it is kept; None for a host without OSDs."""
    if host is None:
        return None
    found = codec.encode(host, facts.HostStorage)
    return found | {name: smoothed((before or {}).get(name), found[name]) for name in LATENCIES}


def smoothed(before: float | None, seen: float | None) -> float | None:
    """Milliseconds, half old and half new as their logarithms go: an OSD tells of the last seconds only, and one that
    took seconds a moment ago is not slow for minutes. Without data the old ones fade away; nonsense leaves no trace."""
    if not _is_sane(seen):
        return NO_NUMBER
    if before is None or not _is_sane(before):
        return seen
    found = math.sqrt(max(before, LEAST_MS) * max(SAME_MS if seen is None else seen, LEAST_MS))
    return None if seen is None and found < 2 * SAME_MS else round(found, 2)


def _is_sane(latency_ms: float | None) -> bool:
    return latency_ms is None or 0 <= latency_ms <= MOST_MS


def is_same(kept: Mapping[str, Json] | None, found: Mapping[str, Json] | None) -> bool:
    """Whether no decision could tell one from the other."""
    if kept is None or found is None:
        return kept is found
    exact = kept.keys() | found.keys()
    return all(_same_ms(kept.get(name), found.get(name)) for name in LATENCIES) and all(
        kept.get(name) == found.get(name) for name in exact.difference(LATENCIES)
    )


def _same_ms(kept: float | None, found: float | None) -> bool:
    if kept is None or found is None:
        return kept is found
    return abs(kept - found) <= max(SAME_MS, SAME_SHARE * kept)
