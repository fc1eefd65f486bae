"""A smaller share of the CPU for a command and all that it starts.

A control group, not only `nice`: between sessions the kernel shares the CPU without regard to it (sched(7), autogroup),
and tests start sessions.
"""

from __future__ import annotations

import sys
from pathlib import Path

WHOLE = 1024  # cpu.shares of everything else
NICE = ("nice", "-n", "10")
JOIN = "import os, sys; open(sys.argv[1], 'w').write('0'); os.execvp(sys.argv[2], sys.argv[2:])"


def command(share: float, words: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs `words` with a share, 0 to 1; by `nice` where there is no such hierarchy."""
    if share >= 1:
        return words
    point = hierarchy(Path("/proc/self/mountinfo").read_text())
    if point is None:
        return (*NICE, *words)
    group = point / f"nacre-tests-{round(share * 100)}"  # empty, it costs nothing: the next run finds it
    group.mkdir(exist_ok=True)
    (group / "cpu.shares").write_text(str(round(WHOLE * share)))
    return (sys.executable, "-c", JOIN, str(group / "cgroup.procs"), *words)


def hierarchy(mountinfo: str) -> Path | None:
    """The mount point of version 1's `cpu` controller."""
    for line in mountinfo.splitlines():
        left, right = line.split(" - ", 1)
        kind, _source, options = right.split(" ", 2)
        if kind == "cgroup" and "cpu" in options.split(","):
            return Path(left.split()[4])
    return None
