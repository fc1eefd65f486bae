"""Series of numbers, written for many objects at once, read for one or all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from peewee import chunked, fn

from service.db.engine.fields import EPOCH, MICROSECOND
from service.db.engine.sql_types import Condition, Tuples
from service.db.measurements.tables import AT_ONCE, PART, RAW_S, Block, Tracked
from service.facts.history import HOST_SERIES

Cells = NDArray[np.float32]
Array = NDArray[np.float64]
CELL = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Series:
    """A kind of object and the names of its numbers."""

    kind: str
    names: tuple[str, ...]


HOSTS = Series("host", tuple(one.series for one in HOST_SERIES))
VMS = Series("vm", ("cpus", "memory_bytes", "read_bps", "written_bps", "received_bps", "sent_bps"))


@dataclass(frozen=True, slots=True)
class Points:
    """Series of one object: `values` is times x names, NaN where there is no data."""

    times: tuple[datetime, ...]
    values: Array


@dataclass(frozen=True, slots=True)
class Sheet:
    """One number of all objects: `values` is ids x times, NaN where there is no data."""

    ids: tuple[str, ...]
    times: tuple[datetime, ...]
    values: Cells


def gridded(times: Sequence[datetime], values: NDArray[Any], until: datetime, *, steps: int, step_s: int) -> Array:
    """Return `values` (rows x times) at the last `steps` whole steps before `until`.

    The oldest is first; gaps are NaN.
    """
    last = int((until - EPOCH) // timedelta(seconds=step_s))
    grid = np.full((len(values), steps), np.nan)
    for column, time in enumerate(times):
        place = steps - 1 - (last - int((time - EPOCH) // timedelta(seconds=step_s)))
        if 0 <= place < steps:
            grid[:, place] = values[:, column]
    return grid


def write(series: Series, at: datetime, rows: Mapping[str, Sequence[float]]) -> None:
    """Store the measurements of a round that ended at `at`.

    `rows` is object id → its numbers in the order of `series.names`. Inside the caller's transaction.
    """
    if not rows:
        return
    places = _places(series, rows, at)
    with np.errstate(over="ignore"):  # a number out of range is no data
        values = np.array(list(rows.values()), dtype=CELL).reshape(len(rows), len(series.names))
    values[~np.isfinite(values)] = np.nan
    keep(series, RAW_S, at, _parts(places, values))


def points(series: Series, object_id: str, since: datetime, until: datetime, *, step_s: int) -> Points:
    """Return one object's steps of `step_s` that ended in (since, until], by time."""
    tracked = Tracked.get_or_none((Tracked.kind == series.kind) & (Tracked.object_id == object_id))
    if tracked is None:
        return Points((), np.empty((0, len(series.names))))
    part, offset = divmod(tracked.place, PART)
    since = max(since, tracked.since + timedelta(seconds=step_s if step_s > RAW_S else 0) - MICROSECOND)
    mine = fn.SUBSTR(Block.cells, Block.row_bytes * offset + 1, Block.row_bytes)
    found = Block.select(Block.at, Block.names, mine).where(_between(series, step_s, since, until), Block.part == part)
    rows = [
        (at, _row(series, names, bytes(cells)))
        for at, names, cells in cast("Tuples", found.order_by(Block.at).tuples())
        if cells
    ]
    known = [(at, row) for at, row in rows if not np.isnan(row).all()]
    values = np.array([row for _, row in known], dtype=np.float64).reshape(len(known), len(series.names))
    return Points(tuple(at for at, _ in known), values)


def sheet(series: Series, name: str, since: datetime, until: datetime, *, step_s: int) -> Sheet:
    """Return one number of all objects in steps that ended in (since, until], by time."""
    tracked = list(Tracked.select().where((Tracked.kind == series.kind) & Tracked.object_id.is_null(False)))
    width = max((row.place for row in tracked), default=-1) + 1
    columns: dict[datetime, Cells] = {}
    found = Block.select(Block.at, Block.part, Block.names, Block.cells).where(_between(series, step_s, since, until))
    for at, part, names, cells in cast("Tuples", found.order_by(Block.at).tuples().iterator()):
        if at not in columns:
            columns[at] = np.full(width, np.nan, dtype=CELL)
        has, first = names.split(","), part * PART
        if name in has:
            known = np.frombuffer(cells, dtype=CELL)[has.index(name) :: len(has)]
            columns[at][first : first + len(known)] = known[: max(0, width - first)]
    values = np.array(list(columns.values()), dtype=CELL).reshape(len(columns), width).T
    return _of_whom(tracked, tuple(columns), values, step_s)


def blocks(series: Series, step_s: int, since: datetime, until: datetime) -> Iterator[Block]:
    """Yield the blocks whose steps ended in (since, until], by part."""
    return iter(Block.select().where(_between(series, step_s, since, until)).order_by(Block.part, Block.at))


def keep(series: Series, step_s: int, at: datetime, parts: Mapping[int, Cells]) -> None:
    """Write blocks, part → places x names; existing ones are kept."""
    row_bytes, names = CELL.itemsize * len(series.names), ",".join(series.names)
    same = {"kind": series.kind, "step_s": step_s, "at": at, "names": names, "row_bytes": row_bytes}
    rows = [{**same, "part": part, "cells": cells.astype(CELL).tobytes()} for part, cells in parts.items()]
    if rows:
        Block.insert_many(rows).on_conflict_ignore().execute()


def decoded(block: Block, names: Sequence[str]) -> Cells:
    """Return a block's cells, places x names; NaN for a name that it does not have."""
    has = block.names.split(",")
    cells = np.frombuffer(block.cells, dtype=CELL).reshape(-1, len(has))
    return _picked(cells, has, names)


def _row(series: Series, names: str, cells: bytes) -> Cells:
    has = names.split(",")
    row: Cells = _picked(np.frombuffer(cells, dtype=CELL).reshape(1, len(has)), has, series.names)[0]
    return row


def _picked(cells: Cells, has: Sequence[str], names: Sequence[str]) -> Cells:
    if tuple(has) == tuple(names):
        return cells
    missing = np.full(len(cells), np.nan, dtype=CELL)
    return np.stack([cells[:, has.index(name)] if name in has else missing for name in names], axis=1)


def _between(series: Series, step_s: int, since: datetime, until: datetime) -> Condition:
    when = (Block.at > since) & (Block.at <= until)
    return (Block.kind == series.kind) & (Block.step_s == step_s) & when


def _parts(places: NDArray[np.int64], values: Cells) -> dict[int, Cells]:
    """Return part → the cells of its block."""
    parts: dict[int, Cells] = {}
    of = places // PART
    for part in np.unique(of).tolist():
        mine = of == part
        offsets = places[mine] % PART
        cells = np.full((int(offsets.max()) + 1, values.shape[1]), np.nan, dtype=CELL)
        cells[offsets] = values[mine]
        parts[part] = cells
    return parts


def _places(series: Series, rows: Mapping[str, object], at: datetime) -> NDArray[np.int64]:
    """Return each object's place. A new object gets a free one, or the next."""
    there = list(Tracked.select().where(Tracked.kind == series.kind))
    known = {str(row.object_id): int(row.place) for row in there if row.object_id is not None}
    free = [row.place for row in there if row.object_id is None]
    new = [object_id for object_id in rows if object_id not in known]
    for object_id, place in zip(new, free, strict=False):
        mine = (Tracked.kind == series.kind) & (Tracked.place == place)
        Tracked.update(object_id=object_id, since=at).where(mine).execute()
        known[object_id] = place
    added = {object_id: len(there) + number for number, object_id in enumerate(new[len(free) :])}
    records = [{"kind": series.kind, "object_id": key, "place": place, "since": EPOCH} for key, place in added.items()]
    for chunk in chunked(records, AT_ONCE):
        Tracked.insert_many(chunk).execute()
    known |= added
    return np.array([known[object_id] for object_id in rows], dtype=np.int64)


def _of_whom(tracked: Sequence[Tracked], times: tuple[datetime, ...], values: Cells, step_s: int) -> Sheet:
    """Return the sheet without data of objects that had a place before."""
    chosen = values[[row.place for row in tracked]] if tracked else np.empty((0, len(times)), dtype=CELL)
    began = np.array([row.since.timestamp() for row in tracked])
    ends = np.array([time.timestamp() for time in times])
    spans = step_s if step_s > RAW_S else 0  # the first measurement ends a step that began before it
    foreign = (ends[None, :] - spans) < began[:, None]
    chosen[foreign] = np.nan
    return Sheet(tuple(str(row.object_id) for row in tracked), times, chosen)
