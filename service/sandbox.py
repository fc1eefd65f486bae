"""Sandbox for one program that reads untrusted data.

bubblewrap gives it empty namespaces: /usr to read, the one file it reads, the one it writes, and nothing else; no
network, no other process, no /proc. prlimit bounds memory, CPU time, output, files and processes. It is killed with
the thread that waits for it, so also with a worker that is killed. Started by root the program gets a user number
that no account has; started by an unprivileged service the number exists only inside the sandbox. It has no
capability in either case.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Paths of its files inside the sandbox.
INPUT, OUTPUT = "/in", "/out"
USER = 65533  # no account of Debian has it: the last number of the range that is never allocated
TICK_S = 0.5
CHUNK_BYTES = 1 << 20
LONGEST_COMPLAINT = 500
NAMESPACES = ("--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session")
SYSTEM = ("--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64")
MORE = ("--perms", "0755", "--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null", "--cap-drop", "ALL")
SURROUNDINGS = ("--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "LC_ALL", "C", "--chdir", "/")
BECOMING = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP", "--", "/usr/bin/setpriv")
UNPRIVILEGED = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits of the program. `output_bytes` is for each file it writes."""

    output_bytes: int
    memory_bytes: int = 2 << 30
    cpu_s: int = 3600
    processes: int = 128
    open_files: int = 64


class SandboxError(Exception):
    """The sandbox could not be created."""


class ProgramFailedError(Exception):
    """The program failed: its `status`, and the end of its standard error."""

    def __init__(self, status: int, complaint: str) -> None:
        super().__init__(f"status {status}: {complaint}")
        self.status = status
        self.complaint = complaint


class Program:
    """A running program. Created by running()."""

    def __init__(self, process: subprocess.Popen[bytes], good: Collection[int]) -> None:
        self._process = process
        self._good = good
        self._complaint = b""

    def output(self) -> Iterator[bytes]:
        """Yield its standard output as it comes; b"" after every TICK_S without output.

        The empty chunks give the caller a chance to check for cancellation. Raises ProgramFailedError after the last
        chunk when the program failed, SandboxError when it could not be started.
        """
        open_pipes = [pipe.fileno() for pipe in _pipes(self._process)]
        standard_output = open_pipes[0]
        while open_pipes:
            ready = select.select(open_pipes, [], [], TICK_S)[0]
            if not ready:
                yield b""
            for pipe in ready:
                data = os.read(pipe, CHUNK_BYTES)
                if not data:
                    open_pipes.remove(pipe)
                elif pipe == standard_output:
                    yield data
                else:
                    self._complaint = (self._complaint + data)[-LONGEST_COMPLAINT:]
        self._check_end()

    def wait(self) -> Iterator[None]:
        """Wait for its end, yielding at least every TICK_S. Raises as output() does."""
        for _ in self.output():
            yield None

    def _check_end(self) -> None:
        status, complaint = self._process.wait(), self._complaint.decode("ascii", "replace").strip()
        if complaint.startswith("bwrap: "):
            raise SandboxError(complaint)
        if status not in self._good:
            raise ProgramFailedError(status, complaint)


@contextmanager
def running(
    program: Sequence[str],
    limits: Limits,
    *,
    reads: Path,
    writes: Path | None = None,
    good: Collection[int] = (0,),
) -> Iterator[Program]:
    """Run a program of /usr/bin on the file `reads`: its INPUT and standard input.

    It may change `writes`, an existing file, at OUTPUT. Both must belong to this service: as root it gives them to the
    sandbox's user. At the end of the block the program is killed. Raises SandboxError.
    """
    for path in filter(None, (reads, writes)):
        _hand_over(path)
    line = command(program, limits, reads=reads, writes=writes)
    with reads.open("rb") as stdin:
        try:
            process = subprocess.Popen(line, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as failure:
            raise SandboxError(f"{line[0]} cannot be started: {failure}") from failure
    try:
        yield Program(process, good)
    finally:
        process.kill()  # the sandbox's first process: the kernel kills all others with it
        process.wait()
        for pipe in _pipes(process):
            pipe.close()


def command(program: Sequence[str], limits: Limits, *, reads: Path, writes: Path | None) -> list[str]:
    """Return the complete argument list."""
    files = ["--ro-bind", str(reads), INPUT, *(("--bind", str(writes), OUTPUT) if writes else ())]
    return ["bwrap", *NAMESPACES, *SURROUNDINGS, *SYSTEM, *MORE, *files, *_user(), *_bounded(limits), *program]


def _user() -> tuple[str, ...]:
    if os.geteuid() == 0:
        return (*BECOMING, *UNPRIVILEGED, "--no-new-privs")
    return ("--unshare-user", "--uid", str(USER), "--gid", str(USER), "--")


def _bounded(limits: Limits) -> tuple[str, ...]:
    return (
        *("/usr/bin/nice", "-n", "10", "/usr/bin/prlimit", "--core=0"),
        *(f"--as={limits.memory_bytes}", f"--cpu={limits.cpu_s}", f"--fsize={limits.output_bytes}"),
        *(f"--nproc={limits.processes}", f"--nofile={limits.open_files}"),
    )


def _hand_over(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, USER, USER, follow_symlinks=False)


def _pipes(process: subprocess.Popen[bytes]) -> list[IO[bytes]]:
    """Return its standard output and its standard error."""
    return [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
