"""Running a build tool: a failure says what was being done and what the tool said."""

from collections.abc import Sequence
from pathlib import Path

from lab.command import attempt
from lab.images.errors import ImageError

LONGEST_S = 600.0


def run(command: Sequence[str | Path], *, why: str) -> str:
    """Run `command` to its end and give its standard output.

    Raises ImageError, starting with `why` and ending in the tool's last line, when it fails.
    """
    done = attempt(command, timeout_s=LONGEST_S)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise ImageError(f"{why}: {command[0]} ended with {done.returncode} ({said}).")
    return done.stdout
