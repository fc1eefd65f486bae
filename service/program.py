"""Asks a program a question: bytes to its standard input, bytes from its standard output, by a deadline.

It is started anew for every question, without a shell, in a process group of its own that is killed at the end, with
next to nothing in its environment. It has the rights of the service.
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
    """There is no answer, and why."""


class TooLateError(ProgramError):
    """It was killed at the deadline."""


@dataclass(slots=True)
class _Talk:
    """What is still to be said, and what was heard."""

    process: subprocess.Popen[bytes]
    question: memoryview
    answer: bytearray = field(default_factory=bytearray)
    complaint: bytes = b""
    is_over: bool = False


def ask(program: Path, question: bytes, *, timeout_s: float, monotonic: Callable[[], float]) -> bytes:
    """The program's answer. Raises ProgramError; TooLateError at the deadline."""
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
    talk = _Talk(process, memoryview(question))
    try:
        ended = _converse(talk, lambda: deadline - monotonic())
    finally:
        _end(process)
    if not ended:
        raise TooLateError(f"no answer within {timeout_s:g} s")
    if process.returncode != 0:
        raise ProgramError(f"ended with status {process.returncode}: {_said(talk.complaint)}")
    return bytes(talk.answer)


def _converse(talk: _Talk, left_s: Callable[[], float]) -> bool:
    """Say and hear until the program is gone; False when the time is up first."""
    with selectors.DefaultSelector() as ends, open(os.pidfd_open(talk.process.pid), "rb") as life:
        _watch(ends, talk, life)
        while (left := left_s()) > 0:
            ready = ends.select(0 if talk.is_over else left)
            if not ready:
                break
            for key, _ in ready:
                if not key.data(talk, key.fd):
                    ends.unregister(key.fileobj)
    return talk.is_over


def _watch(ends: selectors.BaseSelector, talk: _Talk, life: IO[bytes]) -> None:
    process = talk.process
    for pipe, event, turn in (
        (process.stdin, selectors.EVENT_WRITE, _say),
        (process.stdout, selectors.EVENT_READ, _hear),
        (process.stderr, selectors.EVENT_READ, _hear_complaint),
    ):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
            ends.register(pipe, event, turn)
    ends.register(life, selectors.EVENT_READ, _note_end)


def _note_end(talk: _Talk, _pid: int) -> bool:
    talk.is_over = True
    return False


def _say(talk: _Talk, pipe: int) -> bool:
    """False when all is said, or nobody listens: a program need not read its question."""
    try:
        talk.question = talk.question[os.write(pipe, talk.question[:CHUNK_BYTES]) :]
    except BrokenPipeError:
        return False
    if not talk.question and talk.process.stdin is not None:
        talk.process.stdin.close()
    return len(talk.question) > 0


def _hear(talk: _Talk, pipe: int) -> bool:
    data = os.read(pipe, CHUNK_BYTES)
    talk.answer += data
    if len(talk.answer) > MOST_BYTES:
        raise ProgramError(f"answers with more than {MOST_BYTES} bytes")
    return bool(data)


def _hear_complaint(talk: _Talk, pipe: int) -> bool:
    data = os.read(pipe, CHUNK_BYTES)
    talk.complaint = (talk.complaint + data)[-LONGEST_COMPLAINT:]
    return bool(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of its group: until it is waited for, its number is nobody else's."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _said(complaint: bytes) -> str:
    return complaint.decode("utf-8", "replace").strip() or "it said nothing"
