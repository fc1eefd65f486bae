"""Overlay file systems over the cached root, and what is still mounted below a folder."""

import re
from pathlib import Path

from lab.command import run


def mount_overlay(lower: Path, folder: Path) -> Path:
    """Mount `folder`/upper over `lower` at `folder`/merged, once, and return that path."""
    upper, work, merged = (folder / part for part in ("upper", "work", "merged"))
    for part in (upper, work, merged):
        part.mkdir(parents=True, exist_ok=True)
    if merged not in mounted_below(folder):
        run(["mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "nacre-lab", merged])
    return merged


def mounted_below(folder: Path) -> tuple[Path, ...]:
    """Mount points below a folder, the deepest last mounted first."""
    points = mount_points(Path("/proc/self/mountinfo").read_text())
    return tuple(reversed([point for point in points if point.is_relative_to(folder)]))


def mount_points(mountinfo: str) -> tuple[Path, ...]:
    """The mount points in /proc/<pid>/mountinfo, in the order they were mounted; octal escapes undone (proc(5))."""
    fields = (line.split()[4] for line in mountinfo.splitlines())
    return tuple(Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), field)) for field in fields)


def unmount_below(folder: Path) -> None:
    """Unmount everything below a folder; what is still in use goes as soon as its last user does."""
    for point in mounted_below(folder):
        run(["umount", "--lazy", point])
