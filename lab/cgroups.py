"""A control group of its own for each machine.

systemd inside a machine stops a service by emptying its control group: two machines in one group would wait for each
other's processes. The group also lists every process of the machine, guests included, whatever became of its parents.
"""

import time
from pathlib import Path


def hierarchies(mountinfo: str) -> tuple[Path, ...]:
    """Mount points that systemd manages processes in: the v2 hierarchy and, where v1 is in use, `name=systemd`."""
    found = []
    for line in mountinfo.splitlines():
        left, right = line.split(" - ", 1)
        kind, _source, options = right.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(left.split()[4]))
    return tuple(found)


def groups(label: str) -> tuple[Path, ...]:
    """The control groups called `label`, one for each hierarchy; they need not exist."""
    return tuple(point / label for point in hierarchies(Path("/proc/self/mountinfo").read_text()))


def labels(prefix: str) -> set[str]:
    """Labels with this prefix that a group exists for."""
    return {path.name for group in groups(prefix) for path in group.parent.glob(f"{prefix}*")}


def join(label: str) -> None:
    """Move the calling process into the groups of a machine."""
    for group in groups(label):
        group.mkdir(exist_ok=True)
        (group / "cgroup.procs").write_text("0")


def members(label: str) -> set[int]:
    """Ids of all processes in a machine's groups and below."""
    found: set[int] = set()
    for group in groups(label):
        for listing in group.rglob("cgroup.procs"):
            found.update(_pids(listing))
    return found


def _pids(listing: Path) -> list[int]:
    try:
        return [int(pid) for pid in listing.read_text().split()]
    except OSError:
        return []  # the group went away while we looked (ENOENT or ENODEV): nobody is in it


def remove(label: str, *, within_s: float = 5) -> None:
    """Remove the emptied groups of a machine, the inner ones first; a process still ending gets `within_s` seconds."""
    deadline = time.monotonic() + within_s
    for group in groups(label):
        inner = sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True)
        for folder in (*inner, *([group] if group.exists() else [])):
            _remove_one(folder, deadline)


def _remove_one(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            # The kernel says "busy" for a moment after the last member died and has no event for the v1 hierarchy.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
