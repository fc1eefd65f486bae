"""Running another program: a list of arguments in, its output back, one clear error when it fails."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

# The kernel ends the program when the process that started it dies: a killed `up` leaves no build running behind it.
TIED_TO_US = ("setpriv", "--pdeathsig", "KILL")
# And with a process namespace around it, everything the program started ends with it.
ALONE = (
    *TIED_TO_US,
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)


def run(arguments: Sequence[str | Path], *, text_in: str | None = None, timeout_s: float = 120) -> str:
    """Run a program to its end and return what it printed; LabError with its own words when it fails."""
    done = attempt(arguments, text_in=text_in, timeout_s=timeout_s)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise LabError(f"`{' '.join(str(a) for a in arguments)}` failed: {words}")
    return done.stdout


def attempt(
    arguments: Sequence[str | Path], *, text_in: str | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a program whose failure is an answer too; LabError only when it is missing or does not end in time."""
    try:
        # Never our own standard input: a program that reads it would eat what is meant for somebody else.
        words = [str(a) for a in arguments]
        return subprocess.run(
            words, input=text_in or "", capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError as missing:
        raise LabError(f"The program {arguments[0]} is missing: run `make up`, which installs it.") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{arguments[0]}` did not end within {timeout_s:.0f} s: run the same command again.") from late


def run_logged(
    arguments: Sequence[str | Path], log: Path, *, environment: Mapping[str, str], folder: Path, timeout_s: float
) -> int:
    """Run a long program with all its output in a file and return its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("w") as out:
            return subprocess.run(
                [str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=dict(environment), cwd=folder, timeout=timeout_s, check=False,
            ).returncode  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{arguments[0]}` did not end within {timeout_s:.0f} s: read {log}, then run again.") from late
