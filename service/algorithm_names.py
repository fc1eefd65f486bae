"""Valid values of `placement_algorithm`: built-in names, entry points, programs."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

BUILT_IN = ("storage_cpu", "spread", "pack", "round_robin")
# Name of every scorer (docs/reference/placement.md) → its weight in storage_cpu. placement/scorers*.py name their
# functions so; this file is below the settings, which check a name before anything is placed.
TERMS: Mapping[str, float] = {
    "balance": 1.0,
    "cpu_use": 1.0,
    "osd_latency": 2.0,
    "osd_pressure": 2.0,
    "network": 2.0,
    "trend": 0.5,
    "local_reads": 0.5,
    "spreading": 0.25,
    "affinity": 2.0,
    "cpu_headroom": 0.0,
    "memory_headroom": 0.0,
    "vcpus_free": 0.0,
    "memory_free": 0.0,
}
GROUP = "nacre.placement"  # of entry points
EXEC = "exec:"
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def installed() -> tuple[str, ...]:
    """Return the names of installed entry points that are not built in."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)} - set(BUILT_IN)))


def check(name: str) -> str:
    """Return the name if it is valid. Raises ValueError with the valid names."""
    if name.startswith(EXEC):
        _check_program(Path(name.removeprefix(EXEC)))
        return name
    return check_inside(name)


def check_inside(name: str) -> str:
    """Return the name if it is valid and no program. Raises ValueError."""
    if name.startswith(EXEC):
        raise ValueError(f"{name} is not the program of the setting placement_algorithm: only that one is run")
    if name not in BUILT_IN and name not in installed():
        raise ValueError(f"unknown algorithm '{name}': {known()}")
    return name


def known() -> str:
    """Return the valid names as text for an error."""
    points = ", ".join(installed()) or "none is installed"
    return f"known are {', '.join(BUILT_IN)}, entry points of {GROUP} ({points}), and as a setting {EXEC}/absolute/path"


def _check_program(path: Path) -> None:
    """Check that only its owner can replace the program: it has the service's rights."""
    if not path.is_absolute():
        raise ValueError(f"'{path}' is not an absolute path: {known()}")
    if not path.is_file() or not os.access(path, os.X_OK):
        raise ValueError(f"{path} is not an executable file: {known()}")
    if path.stat().st_mode & OTHERS_MAY_WRITE:
        raise ValueError(f"{path} is writable by users other than its owner: run 'chmod go-w {path}'")
