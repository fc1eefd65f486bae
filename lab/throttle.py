"""Making one machine's OSD disks or its network slow, as a worn disk or a bad cable would, and putting it right.

The disks by blkio of control groups v1 on the OSDs' processes: BlueStore writes past the page cache, so the kernel
knows whose writes they are. The network by a token bucket at both ends of the management cable; few kernels have netem.
"""

from pathlib import Path

from lab import cgroups, loops
from lab.command import attempt, run
from lab.errors import LabError
from lab.spec import MachineSpec

BLKIO = Path("/sys/fs/cgroup/blkio")
WRITES = "blkio.throttle.write_iops_device"
PREFIX = "slow-"  # a machine's own groups start with its label: these are no machine
BURST_BYTES, LONGEST_QUEUE_MS = 16384, 400


def slow_disks(machine: MachineSpec, *, write_iops: int) -> None:
    """Let the machine's OSDs make that many writes a second to each disk, until they are healed or started again."""
    if not (BLKIO / WRITES).exists():
        raise LabError(f"{BLKIO / WRITES} is missing: disks can be slowed where blkio is a control group of version 1.")
    group = _group(machine)
    group.mkdir(exist_ok=True)
    for disk in (device for file in machine.disks for device in loops.attached(file)):
        numbers = run(["lsblk", "--noheadings", "--nodeps", "--output=MAJ:MIN", disk]).strip()
        (group / WRITES).write_text(f"{numbers} {write_iops}")
    for pid in osds(machine):
        (group / "cgroup.procs").write_text(str(pid))


def slow_network(machine: MachineSpec, *, kbit_s: int) -> None:
    """Let that much pass the management cable each way: what waits longer than a moment is dropped."""
    for words, port in _ends(machine):
        limit = ["rate", f"{kbit_s}kbit", "burst", str(BURST_BYTES), "latency", f"{LONGEST_QUEUE_MS}ms"]
        run([*words, "tc", "qdisc", "replace", "dev", port, "root", "tbf", *limit])


def heal(machine: MachineSpec) -> None:
    """Disks and network as they were; nothing happens where they are."""
    forget_disks(machine.label)
    for words, port in _ends(machine):
        attempt([*words, "tc", "qdisc", "delete", "dev", port, "root"])


def forget_disks(label: str) -> None:
    """Let the processes of a machine's group go back to the common one, and remove it."""
    group = BLKIO / f"{PREFIX}{label}"
    if not group.exists():
        return
    for pid in (group / "cgroup.procs").read_text().split():
        try:
            (BLKIO / "cgroup.procs").write_text(pid)
        except ProcessLookupError:
            continue  # it has ended meanwhile
    group.rmdir()


def osds(machine: MachineSpec) -> tuple[int, ...]:
    """The processes of the machine's OSDs, by their numbers on the computer."""
    return tuple(sorted(pid for pid in cgroups.members(machine.label) if _is_osd(pid)))


def _is_osd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "ceph-osd"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _group(machine: MachineSpec) -> Path:
    return BLKIO / f"{PREFIX}{machine.label}"


def _ends(machine: MachineSpec) -> tuple[tuple[list[str], str], ...]:
    """How to reach each end of the management cable, and what it is called there."""
    return ([], machine.management_port), (["ip", "netns", "exec", machine.label], "host0")
