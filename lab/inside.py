"""The processes of a machine as the computer sees them: its init, whose machine it is, and ending them all."""

from pathlib import Path

from lab import cgroups, processes
from lab.errors import LabError


def find_init(label: str) -> int | None:
    """Process 1 of the machine with this label, by its number on the computer."""
    return next((pid for pid in sorted(cgroups.members(label)) if _is_init(pid)), None)


def power_off(label: str, record: Path) -> None:
    """End every process of a machine at once and remove its control groups; works on what a dead run left, too."""
    init = find_init(label)
    # The kernel ends a whole process namespace with its first process; the rest is what never got that far.
    for pid in [*([] if init is None else [init]), *sorted(cgroups.members(label))]:
        found = processes.record_of(pid)
        if found is not None:
            processes.end(found)
    recorded = processes.load(record)
    if recorded is not None:
        processes.end(recorded)
    record.unlink(missing_ok=True)
    cgroups.remove(label)


def check_ours(label: str, folder: Path) -> None:
    """LabError when a machine of this name runs from files outside `folder`: it is another checkout's, not ours."""
    init = find_init(label)
    upper = None if init is None else upper_layer(_read(init, "mountinfo"))
    if upper is not None and not upper.is_relative_to(folder):
        raise LabError(f"{label} is running from {upper.parent}: take that lab down there, or choose another LAB.")


def upper_layer(mountinfo: str) -> Path | None:
    """The upper layer of the overlay that a process has as its root, from its mount table (proc(5))."""
    for line in mountinfo.splitlines():
        place, source = line.split(" - ", 1)
        if place.split()[4] == "/" and source.startswith("overlay "):
            options = source.split()[2].split(",")
            return next((Path(o.removeprefix("upperdir=")) for o in options if o.startswith("upperdir=")), None)
    return None


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it ended while we looked


def _is_init(pid: int) -> bool:
    """True for process 1 of a process namespace other than ours."""
    numbers = next((line.split()[1:] for line in _read(pid, "status").splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1" and processes.record_of(pid) is not None
