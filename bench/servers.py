"""The processes that are measured: the service's API on a database of its own, and a bare Bottle handler beside it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = "127.0.0.1"
START_S = 60
ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server process from its first accepted connection to the end of the block."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        wait_accepting(process, port, log)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def wait_accepting(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Until somebody listens on the port. Raises RuntimeError when the process ends instead."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()[-800:]}")
        try:
            socket.create_connection((ADDRESS, port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.002)  # a listening socket of another process gives no event
        else:
            return
    raise RuntimeError(f"nobody listens on port {port} after {START_S} s")


def service_command(settings_file: Path) -> list[str]:
    """The API as an operator starts it."""
    return [sys.executable, "-m", "service", "--settings", str(settings_file), "api"]


def bare_command(port: int, answers: Path) -> list[str]:
    """The bare handler; `answers` is a folder with one file per path."""
    return [sys.executable, "-m", "bench.bare_server", str(port), str(answers)]
