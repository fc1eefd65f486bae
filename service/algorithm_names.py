"""Valid values of `placement_algorithm`: built-in names, entry points, programs."""

from __future__ import annotations

import os
import stat
from importlib.metadata import entry_points
from pathlib import Path

BUILT_IN = ("storage_cpu", "spread", "pack", "round_robin")
# Terms of a host's score: docs/reference/placement.md.
TERMS = (
    "osd_latency", "osd_pressure", "network", "trend", "cpu_headroom", "memory_headroom", "balance", "cpu_use",
    "vcpus_free", "memory_free", "local_reads", "spreading", "affinity",
)  # fmt: skip
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
