"""Measurements of hosts and VMs, in a database of their own.

Their many small writes must not hold up other transactions. They may be lost, since the next round measures again: so
there are no migrations, and tables of another shape are dropped.
"""

from __future__ import annotations

from service.db.measurements.counters import RATES, Measure, latest, record
from service.db.measurements.meters import keep_meters, kept_meters
from service.db.measurements.retention import forget, tidy
from service.db.measurements.series import HOSTS, VMS, Points, Series, Sheet, gridded, points, sheet, write
from service.db.measurements.store import open_measurements, prepare
from service.db.measurements.tables import DAY_S, HOUR_S, KEPT, RAW_S, ROLLED_S, LastMeasure

__all__ = [
    "DAY_S",
    "HOSTS",
    "HOUR_S",
    "KEPT",
    "RATES",
    "RAW_S",
    "ROLLED_S",
    "VMS",
    "LastMeasure",
    "Measure",
    "Points",
    "Series",
    "Sheet",
    "forget",
    "gridded",
    "keep_meters",
    "kept_meters",
    "latest",
    "open_measurements",
    "points",
    "prepare",
    "record",
    "sheet",
    "tidy",
    "write",
]
