"""`make test`: all that tox runs, in two parts, each with something beside it.

While the suites without a cluster run, the lab comes up. On the lab, tests wait for guests and for Ceph more than they
compute: those that leave its service alone run beside the others. `.venv/bin/tox` alone runs the same tests, one suite
after the other.
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
    """Run all suites to their ends; 0 when all passed, else the exit status of one that failed."""
    with lab_left_as_it_was():
        status = without_lab()
        return on_lab() or status


def without_lab() -> int:
    """Run what needs no lab, while it comes up; what fails there is told, and tried again by the suites on it."""
    with Lane(LAB_UP, LOGS / "lab-up.log") as lab, Lane(DEBIAN, LOGS / "debian.log") as debian:
        status = run(WITHOUT_LAB)
        lab.wait()
        debian.wait()
        return status


def on_lab() -> int:
    """Run the tests on the lab, those side by side that can; 0 when all passed."""
    with Lane(BESIDE, LOGS / "lab-beside.log") as beside:
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
