"""Retention: old steps are rolled up into coarser ones, older ones deleted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from peewee import chunked, fn

from service.db.engine.fields import EPOCH
from service.db.measurements.counters import GONE_AFTER
from service.db.measurements.series import HOSTS, VMS, Cells, Series, blocks, decoded, keep
from service.db.measurements.tables import AT_ONCE, KEPT, Block, LastMeasure, ProcessMeters, Tracked


def tidy(now: datetime) -> None:
    """Roll up every whole step and delete expired ones; in the caller's transaction."""
    for series in (HOSTS, VMS):
        for fine_s, coarse_s in pairwise(KEPT):
            _roll_up(series, fine_s, coarse_s, now)
        for step_s, keep_for in KEPT.items():
            of = (Block.kind == series.kind) & (Block.step_s == step_s)
            Block.delete().where(of & (Block.at < now - keep_for)).execute()
    LastMeasure.delete().where(LastMeasure.measured_at < now - GONE_AFTER).execute()
    ProcessMeters.delete().where(ProcessMeters.at < now - GONE_AFTER).execute()


def forget(series: Series, existing: Collection[str]) -> None:
    """Free the places of deleted objects; inside the caller's transaction."""
    rows = Tracked.select(Tracked.object_id).where(Tracked.kind == series.kind, Tracked.object_id.is_null(False))
    gone = sorted({str(row.object_id) for row in rows} - set(existing))
    for some in chunked(gone, AT_ONCE):
        Tracked.update(object_id=None).where(Tracked.kind == series.kind, Tracked.object_id.in_(some)).execute()


def _roll_up(series: Series, fine_s: int, coarse_s: int, now: datetime) -> None:
    done = _end(series, coarse_s, fn.MAX(Block.at), EPOCH) or EPOCH
    while (first := _end(series, fine_s, fn.MIN(Block.at), done)) is not None:
        end = _ceil(first, coarse_s)
        if end > now:
            return
        fine = blocks(series, fine_s, end - timedelta(seconds=coarse_s), end)
        parts = {part: _mean([decoded(one, series.names) for one in same]) for part, same in groupby(fine, _part)}
        keep(series, coarse_s, end, parts)
        done = end


def _end(series: Series, step_s: int, which: Any, after: datetime) -> datetime | None:
    of = (Block.kind == series.kind) & (Block.step_s == step_s) & (Block.at > after)
    end: datetime | None = Block.select(which).where(of).scalar()
    return end


def _part(block: Block) -> int:
    return int(block.part)


def _mean(cells: list[Cells]) -> Cells:
    """Return the mean of known values by place; later blocks may be longer."""
    total = np.zeros((max(map(len, cells)), cells[0].shape[1]))
    count = np.zeros_like(total)
    for one in cells:
        known = ~np.isnan(one)
        total[: len(one)] += np.where(known, one, 0.0)
        count[: len(one)] += known
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: no data
        return (total / count).astype(np.float32)


def _ceil(at: datetime, step_s: int) -> datetime:
    step = timedelta(seconds=step_s)
    return EPOCH + -((EPOCH - at) // step) * step
