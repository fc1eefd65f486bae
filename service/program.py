"""Call of a program: bytes to its input, bytes from its output, a deadline.

It is started for every call, without a shell, with a minimal environment, in a process group of its own that is killed
at the end. It has the rights of the service.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
CHUNK_BYTES = 1 << 16
MOST_BYTES = 1 << 20  # of an answer
LONGEST_COMPLAINT = 300


class ProgramError(Exception):
    """The program gave no valid answer; the message is the reason."""


class TooLateError(ProgramError):
    """The program was killed at the deadline."""


@dataclass(slots=True)
class _Exchange:
    """Input still to be written, and output read so far."""

    process: subprocess.Popen[bytes]
    question: memoryview
    answer: bytearray = field(default_factory=bytearray)
    complaint: bytes = b""
    has_ended: bool = False


def ask(program: Path, question: bytes, *, timeout_s: float, monotonic: Callable[[], float]) -> bytes:
    """Run the program and return its output. Raises ProgramError, TooLateError."""
    deadline = monotonic() + timeout_s
    try:
        process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as failure:
        raise ProgramError(f"cannot be started: {failure.strerror}") from failure
    exchange = _Exchange(process, memoryview(question))
    try:
        ended = _exchange(exchange, lambda: deadline - monotonic())
    finally:
        _end(process)
    if not ended:
        raise TooLateError(f"no answer within {timeout_s:g} s")
    if process.returncode != 0:
        raise ProgramError(f"ended with status {process.returncode}: {_text(exchange.complaint)}")
    return bytes(exchange.answer)


def _exchange(exchange: _Exchange, left_s: Callable[[], float]) -> bool:
    """Write and read until the program has ended; return False at the deadline."""
    with selectors.DefaultSelector() as ends, open(os.pidfd_open(exchange.process.pid), "rb") as life:
        _watch(ends, exchange, life)
        while (left := left_s()) > 0:
            ready = ends.select(0 if exchange.has_ended else left)
            if not ready:
                break
            for key, _ in ready:
                if not key.data(exchange, key.fd):
                    ends.unregister(key.fileobj)
    return exchange.has_ended


def _watch(ends: selectors.BaseSelector, exchange: _Exchange, life: IO[bytes]) -> None:
    process = exchange.process
    for pipe, event, turn in (
        (process.stdin, selectors.EVENT_WRITE, _write),
        (process.stdout, selectors.EVENT_READ, _read),
        (process.stderr, selectors.EVENT_READ, _read_complaint),
    ):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            ends.register(pipe, event, turn)
    ends.register(life, selectors.EVENT_READ, _mark_ended)


def _mark_ended(exchange: _Exchange, _pid: int) -> bool:
    exchange.has_ended = True
    return False


def _write(exchange: _Exchange, pipe: int) -> bool:
    """Write a chunk; return False when all is written or the input is closed.

    A program need not read its input.
    """
    try:
        exchange.question = exchange.question[os.write(pipe, exchange.question[:CHUNK_BYTES]) :]
    except BrokenPipeError:
        return False
    if not exchange.question and exchange.process.stdin is not None:
        exchange.process.stdin.close()
    return len(exchange.question) > 0


def _read(exchange: _Exchange, pipe: int) -> bool:
    data = os.read(pipe, CHUNK_BYTES)
    exchange.answer += data
    if len(exchange.answer) > MOST_BYTES:
        raise ProgramError(f"answers with more than {MOST_BYTES} bytes")
    return bool(data)


def _read_complaint(exchange: _Exchange, pipe: int) -> bool:
    data = os.read(pipe, CHUNK_BYTES)
    exchange.complaint = (exchange.complaint + data)[-LONGEST_COMPLAINT:]
    return bool(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill its process group; until wait() the kernel cannot reuse the number."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _text(complaint: bytes) -> str:
    return complaint.decode("utf-8", "replace").strip() or "no message on standard error"
