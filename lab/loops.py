"""OSD disks: sparse files shown as loop devices, found again by the file behind them."""

import json
import os
from pathlib import Path

from lab.command import run


def attach(disk: Path, size_bytes: int) -> Path:
    """Make the sparse file if it is new, and return its loop device: the one it has, or a free one."""
    disk.parent.mkdir(parents=True, exist_ok=True)
    if not disk.exists():
        with disk.open("xb") as file:
            os.truncate(file.fileno(), size_bytes)
    held = attached(disk)
    return held[0] if held else Path(run(["losetup", "--find", "--show", disk]).strip())


def attached(path: Path) -> tuple[Path, ...]:
    """Loop devices backed by this file, or by any file below this folder (also one that is deleted by now)."""
    table = json.loads(run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE"]) or '{"loopdevices": []}')
    entries = [(Path(e["name"]), e["back-file"] or "") for e in table["loopdevices"]]
    return tuple(name for name, backing in entries if Path(backing.removesuffix(" (deleted)")).is_relative_to(path))


def detach_below(folder: Path) -> None:
    """Free every loop device whose file lies below a folder."""
    for device in attached(folder):
        run(["losetup", "--detach", device])
