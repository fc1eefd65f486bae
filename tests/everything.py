"""`make test`: all that tox runs, in lanes that share this computer.

The tests on the lab often wait, for guests and for Ceph; all others compute. So both run at once. Those that use the
service of the lab take longest, one after the other: they have the larger share of the CPU. `.venv/bin/tox` alone runs
the same tests, one suite after the other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab import store
from lab.command import TIED_TO_US
from lab.machines import machines
from lab.spec import CHECKOUT
from tests.lane import Lane

LAB = "test"
LOGS = CHECKOUT / ".lab"
TOX = str(CHECKOUT / ".venv/bin/tox")
WITHOUT_LAB = (TOX, "run", "-e", "lint,unit,postgresql")
# The lab's tests boot it, and it takes minutes to build.
DEBIAN = (sys.executable, "-m", "lab.images", "debian")
LAB_UP = (sys.executable, "-m", "lab", "up", "--lab", LAB, "--control", "--stage", "control")
BESIDE = (TOX, "run", "-e", "lab-beside")
OTHERS = (TOX, "run", "-e", "lab-others")


def main() -> int:
    """Run both lanes to their ends; 0 when all passed, else the exit status of what failed."""
    print(f"What runs beside the lab's main tests is shown when it has ended: {LOGS}/*.log", flush=True)  # noqa: T201
    with (
        Lane(DEBIAN, LOGS / "debian.log"),
        Lane(WITHOUT_LAB, LOGS / "without-lab.log", share=0.25) as without_lab,
    ):
        with lab_left_as_it_was():
            status = run(LAB_UP) or on_lab()
        return without_lab.wait() or status


def on_lab() -> int:
    """Run the tests on the lab, those side by side that can; 0 when all passed."""
    with Lane(BESIDE, LOGS / "lab-beside.log", share=0.5) as beside:
        status = run(OTHERS)
        return beside.wait() or status


def run(command: tuple[str, ...]) -> int:
    """Run a command; its exit status. An interrupt reaches it, too: its end is waited for."""
    process = subprocess.Popen([*TIED_TO_US, *command], cwd=CHECKOUT, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise


@contextmanager
def lab_left_as_it_was() -> Iterator[None]:
    """At the end the lab is down, unless it was up before or LAB_KEEP=1."""
    keep = is_running() or os.environ.get("LAB_KEEP") == "1"
    try:
        yield
    finally:
        if not keep:
            down = [sys.executable, "-m", "lab", "down", "--lab", LAB]
            subprocess.run(down, cwd=CHECKOUT, check=True, start_new_session=True)  # one more Ctrl-C does not stop it


def is_running() -> bool:
    """Whether the lab was up before."""
    remembered = store.load(LAB)
    return remembered is not None and all(machine.running for machine in machines(remembered))


if __name__ == "__main__":
    sys.exit(main())
