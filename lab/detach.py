"""Starting a process that outlives us: a session of its own, output in a file, recorded under its id and start time."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import processes


def detach(command: Sequence[str], *, environment: Mapping[str, str], log: Path, record: Path) -> None:
    """Start a program, write its record and leave it alone. `command[0]` is a full path."""
    log.parent.mkdir(parents=True, exist_ok=True)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    try:
        pid = os.posix_spawn(command[0], list(command), dict(environment), file_actions=streams, setsid=True)
    finally:
        os.close(out)
        os.close(null)
    started = processes.record_of(pid)
    if started is not None:
        processes.save(record, started)
