"""`make test`: all that tox runs, while the lab of its last environment comes up beside the first ones.

Only the waiting is saved: `.venv/bin/tox` alone runs the same tests, and brings the lab up when its turn has come.
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

LAB = "test"
LOG = CHECKOUT / ".lab/ahead.log"


def main() -> int:
    """Run tox; its exit status."""
    with lab_ahead():
        tox = [*TIED_TO_US, str(CHECKOUT / ".venv/bin/tox")]
        # The suite takes down what it brought up; here it has brought up nothing.
        return subprocess.run(tox, cwd=CHECKOUT, check=False).returncode


@contextmanager
def lab_ahead() -> Iterator[None]:
    """Begin with the lab; at the end it is down, unless it was up before or LAB_KEEP=1."""
    keep = is_running() or os.environ.get("LAB_KEEP") == "1"
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("w") as log:
        ahead = subprocess.Popen(
            [*TIED_TO_US, sys.executable, "-m", "tests.lab.ahead"], cwd=CHECKOUT, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        ahead.kill()  # it has ended, unless nothing waited for it
        ahead.wait()
        if not keep:
            subprocess.run([sys.executable, "-m", "lab", "down", "--lab", LAB], cwd=CHECKOUT, check=True)


def is_running() -> bool:
    """Whether the lab was up before."""
    remembered = store.load(LAB)
    return remembered is not None and all(machine.running for machine in machines(remembered))


if __name__ == "__main__":
    sys.exit(main())
