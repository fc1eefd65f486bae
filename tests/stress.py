"""Runs tests again and again on a busy computer, to find those that fail now and then: `make stress N=5 [T=…]`.

Without T: the test files that differ from the last commit or are new, else those of the last commit; none of tests/lab.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
BURNERS = 2
# Nothing that is started here outlives this process, however it ends.
TIED = ("setpriv", "--pdeathsig", "KILL", sys.executable)
NOTHING_TO_RUN = 2


def main(arguments: list[str]) -> int:
    """Run `N [test file …]`; 0 when no round failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    rounds, tests = int(arguments[0]), arguments[1:] or changed()
    if rounds < 1:
        print("stress: N is the number of rounds, 1 or more")  # noqa: T201
        return NOTHING_TO_RUN
    if not tests:
        print("stress: no test file has changed: name some, like T=tests/unit/test_program.py")  # noqa: T201
        return NOTHING_TO_RUN
    statuses: list[int] = []
    try:
        with burners(BURNERS):
            statuses.extend(run(number, rounds, tests) for number in range(1, rounds + 1))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    failed = sum(status != 0 for status in statuses)
    print(f"stress: {rounds} rounds, {failed} failed")  # noqa: T201
    return int(failed > 0)


def run(number: int, rounds: int, tests: list[str]) -> int:
    """One round; pytest's exit status."""
    print(f"stress: round {number} of {rounds}: {' '.join(tests)}", flush=True)  # noqa: T201
    return subprocess.run([*TIED, "-m", "pytest", "-q", *tests], cwd=ROOT, check=False).returncode


@contextmanager
def burners(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes that take a core each, ended by their id."""
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            started.append(subprocess.Popen([*TIED, "-c", "while True: pass"]))
            stack.callback(end, started[-1])
        yield started


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def changed() -> list[str]:
    """Test files that differ from the last commit, and new ones; when there are none, those of the last commit."""
    new = git("ls-files", "--others", "--exclude-standard", "tests")
    return chosen(git("diff", "--name-only", "--diff-filter=d", "HEAD", "--", "tests") + new) or chosen(
        git("diff", "--name-only", "--diff-filter=d", "HEAD~1", "HEAD", "--", "tests")
    )


def chosen(names: list[str]) -> list[str]:
    """Those that are test files and need no cluster."""
    return sorted({n for n in names if Path(n).match("test_*.py") and not n.startswith("tests/lab/")})


def git(*words: str) -> list[str]:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
