"""What `placement_algorithm` may name: one that is built in, an installed entry point, or a program."""

from __future__ import annotations

import os
import stat
from importlib.metadata import entry_points
from pathlib import Path

BUILT_IN = ("storage_cpu", "spread", "pack", "round_robin")
# What a host is scored by: docs/reference/placement.md.
TERMS = (
    "osd_latency", "osd_pressure", "network", "trend", "cpu_headroom", "memory_headroom", "balance", "cpu_use",
    "vcpus_free", "memory_free", "local_reads", "spreading", "affinity",
)  # fmt: skip
GROUP = "nacre.placement"  # of entry points
EXEC = "exec:"
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def installed() -> tuple[str, ...]:
    """Names of the entry points that are installed beside the service; none hides one that is built in."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)} - set(BUILT_IN)))


def check(name: str) -> str:
    """The name, when it names an algorithm. Raises ValueError, naming what is valid."""
    if name.startswith(EXEC):
        _check_program(Path(name.removeprefix(EXEC)))
        return name
    return check_inside(name)


def check_inside(name: str) -> str:
    """As check(), but no program. Raises ValueError, naming what is valid."""
    if name.startswith(EXEC):
        raise ValueError(f"{name} is not the program of the setting placement_algorithm, and no other is run")
    if name not in BUILT_IN and name not in installed():
        raise ValueError(f"unknown algorithm '{name}': {known()}")
    return name


def known() -> str:
    """The valid names, for people."""
    points = ", ".join(installed()) or "none is installed"
    return f"known are {', '.join(BUILT_IN)}, entry points of {GROUP} ({points}), and as a setting {EXEC}/absolute/path"


def _check_program(path: Path) -> None:
    """It runs with the service's rights: nobody else may put another in its place."""
    if not path.is_absolute():
        raise ValueError(f"'{path}' is no absolute path: {known()}")
    if not path.is_file() or not os.access(path, os.X_OK):
        raise ValueError(f"{path} is no program that may be run: {known()}")
    if path.stat().st_mode & OTHERS_MAY_WRITE:
        raise ValueError(f"{path} may be written by others than its owner: take that right away (chmod go-w)")
