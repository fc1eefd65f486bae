"""From a host's past to what is to be expected of it. Arrays of many hosts at once; NaN is no data.

Daily pattern and level are the additive seasonal method of Holt and Winters (P. R. Winters, "Forecasting sales by
exponentially weighted moving averages", Management Science 6, 1960) with its terms taken apart: the pattern of an hour
of the day is the exponentially weighted mean of that hour on the days before, the level is how far the last hours were
off their pattern, and it fades into the future as a damped trend does (E. S. Gardner, E. McKenzie, "Forecasting trends
in time series", Management Science 31, 1985). Unlike the recursive form it needs no state and bears gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

DAYS, HOURS = 14, 24
COMING = 4  # hours that the forecast is about
HALF_LIFE_DAYS = 3.0  # a day so long ago counts half as much as yesterday
LEVEL_HOURS = 3
LEVEL_LASTS = 0.8  # of the level is left an hour later
LEAST_DAYS = 2  # that an hour must have been seen on
LEAST_TREND_DAYS = 3
LEAST_SHARE = 1 / 24  # of the day must be known for its average and its peak
PEAK = 0.95


@dataclass(frozen=True, slots=True)
class Outlook:
    """One value for each host; NaN where too little is known. `pattern` is hosts x 24, from the coming hour on."""

    forecast: Array
    trend_per_day: Array
    pattern: Array


def average(day: Array) -> Array:
    """Mean of a day, hosts x steps → hosts."""
    known = ~np.isnan(day)
    count = known.sum(axis=1)
    total = np.where(known, day, 0.0).sum(axis=1)
    return np.where(count >= _least(day), total / np.maximum(count, 1), np.nan)


def peak(day: Array) -> Array:
    """95th percentile of a day (nearest rank), hosts x steps → hosts."""
    if not day.shape[1]:
        return np.full(len(day), np.nan)
    ordered = np.sort(day, axis=1)  # NaN comes last
    count = (~np.isnan(day)).sum(axis=1)
    rank = np.maximum(np.ceil(PEAK * count).astype(int) - 1, 0)
    return np.where(count >= _least(day), ordered[np.arange(len(day)), rank], np.nan)


def outlook(hours: Array) -> Outlook:
    """From hourly means of the last DAYS days (hosts x 336, the last whole hour last) to the coming hours.

    Every hour of the coming COMING must have been seen on LEAST_DAYS days.
    """
    days = hours.reshape(len(hours), DAYS, HOURS)  # of each day the first is the hour that comes next
    pattern, seen = _pattern(days)
    level = _level(days)
    fades = LEVEL_LASTS ** np.arange(1, COMING + 1)
    coming = pattern[:, :COMING] + level[:, None] * fades
    enough = seen[:, :COMING].min(axis=1) >= LEAST_DAYS
    mean = np.where(enough[:, None], coming, 0.0).mean(axis=1)
    forecast = np.where(enough, np.clip(mean, 0.0, 1.0), np.nan)
    return Outlook(forecast, _trend(days), np.where(seen >= LEAST_DAYS, pattern, np.nan))


def _least(day: Array) -> int:
    return max(1, round(LEAST_SHARE * int(day.shape[1])))


def _pattern(days: Array) -> tuple[Array, NDArray[np.int64]]:
    """Weighted mean of each hour of the day (0 where it was never seen), and on how many days it was seen."""
    known = ~np.isnan(days)
    ages = np.arange(days.shape[1] - 1, -1, -1)
    weights = known * (0.5 ** (ages / HALF_LIFE_DAYS))[None, :, None]
    total = (np.where(known, days, 0.0) * weights).sum(axis=1)
    weight = weights.sum(axis=1)
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0), known.sum(axis=1)


def _level(days: Array) -> Array:
    """How far the last hours were off the same hours of the days before; 0 where that is not known."""
    before, seen = _pattern(days[:, :-1])
    off = days[:, -1, -LEVEL_HOURS:] - before[:, -LEVEL_HOURS:]
    known = ~np.isnan(off) & (seen[:, -LEVEL_HOURS:] > 0)
    total, count = np.where(known, off, 0.0).sum(axis=1), known.sum(axis=1)
    level: Array = np.divide(total, count, out=np.zeros(len(days)), where=count > 0)
    return level


def _trend(days: Array) -> Array:
    """Least-squares slope of the means of days of which at least half is known; NaN with fewer than three."""
    known = ~np.isnan(days)
    count = known.sum(axis=2)
    full = count >= HOURS // 2
    mean = np.where(known, days, 0.0).sum(axis=2) / np.maximum(count, 1)
    number = full.sum(axis=1)
    when = np.broadcast_to(np.arange(days.shape[1], dtype=float), full.shape)
    middle = _mean_of(when, full, number), _mean_of(mean, full, number)
    off_when, off_mean = (np.where(full, x - at[:, None], 0.0) for x, at in zip((when, mean), middle, strict=True))
    spread = (off_when**2).sum(axis=1)
    slope = np.divide((off_when * off_mean).sum(axis=1), spread, out=np.zeros(len(days)), where=spread > 0)
    return np.where(number >= LEAST_TREND_DAYS, slope, np.nan)


def _mean_of(values: Array, chosen: Flags, number: NDArray[np.int64]) -> Array:
    return np.asarray(np.where(chosen, values, 0.0).sum(axis=1) / np.maximum(number, 1))
