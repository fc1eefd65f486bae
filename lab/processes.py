"""Which process is ours: its id together with its start time, so that a recycled id is never taken for it.

The start time is field 22 of /proc/<pid>/stat, in clock ticks since boot (proc(5)); the boot id tells two boots apart.
"""

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class ProcessRecord:
    """One process of one boot of this computer."""

    pid: int
    start_ticks: int
    boot_id: str

    def to_text(self) -> str:
        """One line: pid, start time in clock ticks since boot, boot id."""
        return f"{self.pid} {self.start_ticks} {self.boot_id}\n"


def from_text(text: str) -> ProcessRecord | None:
    """Read `ProcessRecord.to_text` back; None for a line cut short by a crash."""
    match text.split():
        case [pid, ticks, boot] if pid.isdigit() and ticks.isdigit():
            return ProcessRecord(int(pid), int(ticks), boot)
        case _:
            return None


def parse_stat(stat: str) -> tuple[str, int]:
    """State letter and start time from a line of /proc/<pid>/stat; a program's name may hold spaces and brackets."""
    fields = stat[stat.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


def record_of(pid: int) -> ProcessRecord | None:
    """The record of a live process; None when it is gone or only waits to be collected."""
    try:
        state, ticks = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else ProcessRecord(pid, ticks, BOOT_ID.read_text().strip())


def save(path: Path, record: ProcessRecord) -> None:
    """Write a record so that a reader finds the whole line or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(record.to_text())
    draft.replace(path)


def load(path: Path) -> ProcessRecord | None:
    """The recorded process if it still lives, else None."""
    record = from_text(path.read_text()) if path.exists() else None
    return record if record is not None and record_of(record.pid) == record else None


def end(record: ProcessRecord, *, grace_s: float = 0) -> None:
    """End exactly this process: SIGTERM and `grace_s` seconds first when asked, then SIGKILL; it is gone on return."""
    try:
        handle = os.pidfd_open(record.pid)
    except ProcessLookupError:
        return
    try:
        # The handle is held first: whatever happens to the number now, it cannot pass to another process unseen.
        if record_of(record.pid) == record:
            _end_by_handle(handle, grace_s)
    finally:
        os.close(handle)


def _end_by_handle(handle: int, grace_s: float) -> None:
    if not (grace_s > 0 and _signal(handle, signal.SIGTERM) and wait_gone(handle, grace_s)):
        _signal(handle, signal.SIGKILL)
        wait_gone(handle, 30)
    _collect(handle)


def _signal(handle: int, number: signal.Signals) -> bool:
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    return True


def wait_gone(handle: int, timeout_s: float) -> bool:
    """Wait on a process handle until its process has ended; False after the timeout."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _collect(handle: int) -> None:
    try:
        os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return  # not our child: its own parent collects it
