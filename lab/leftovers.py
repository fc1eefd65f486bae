"""Ending everything a lab runs on this computer, by its name alone: also what a dead run left half made.

Only the standard library is needed, so that a computer can be cleaned whatever became of the Python environment.
"""

import re
from pathlib import Path

from lab import cgroups, cuts, loops, mounts, network, processes, root, store, throttle
from lab.inside import check_ours, power_off

SERVICE_GRACE_S = 5
MACHINE = re.compile(r"host\d+|control")


def end_all(name: str, base: Path) -> list[str]:
    """End and remove everything a lab has on this computer but its files; works without knowing its parameters.

    Returns what was found and ended, for the person to read.
    """
    folder = base / name
    labels = sorted(cgroups.labels(f"nl-{name}-"))
    for label in labels:
        check_ours(label, folder)
    ended = _end_recorded(folder / "run")
    for label in labels:
        power_off(label, folder / "run" / f"{label.rpartition('-')[2]}.pid")
        throttle.forget_disks(label)
    cuts.remove_all(name)
    network.remove_all(name)
    mounts.unmount_below(folder)
    loops.detach_below(folder)
    return [*ended, *labels]


def _end_recorded(run_folder: Path) -> list[str]:
    """End the processes recorded by other parts (the service): politely first, since they have something to finish."""
    ended = []
    for path in sorted(p for p in run_folder.glob("*.pid") if not MACHINE.fullmatch(p.stem)):
        record = processes.load(path)
        if record is not None:
            processes.end(record, grace_s=SERVICE_GRACE_S)
            ended.append(path.stem)
        path.unlink()
    return ended


def purge(name: str, base: Path) -> None:
    """Delete a lab's files, and the shared cache when no lab is left."""
    root.discard(base / name)
    if not store.lab_names(base):
        root.discard(base / "cache")
        root.discard(base / "locks")
