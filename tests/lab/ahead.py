"""Has ready what the lab suite needs, while the suites before it run: `python -m tests.lab.ahead`.

What fails here is tried again by the suite itself, which tells why it failed then.
"""

from __future__ import annotations

import sys

from lab.command import TIED_TO_US, attempt
from lab.images import build_debian
from tests.lab.whole_lab import NAME

MOST_S = 3600


def main() -> int:
    """Bring the lab up, its control machine included; build the image that takes longest."""
    up = [sys.executable, "-m", "lab", "up", "--lab", NAME, "--control", "--stage", "control"]
    done = attempt([*TIED_TO_US, *up], timeout_s=MOST_S)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    build_debian.build()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
