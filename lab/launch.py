"""`python -m lab.launch RECORD LABEL PROGRAM …`: become a machine's process, recorded and in its own control groups.

The record is written before the program starts, so there is no moment in which a machine runs and nobody knows.
"""

import os
import sys
from pathlib import Path

from lab import cgroups, processes


def main() -> None:
    """Record this process, join the groups, turn into the program."""
    record, label, *program = sys.argv[1:]
    me = processes.record_of(os.getpid())
    assert me is not None, "a running process has an entry in /proc"  # noqa: S101
    processes.save(Path(record), me)
    cgroups.join(label)
    os.execvp(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main()
