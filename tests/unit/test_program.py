"""A program that is asked: its answer, or why there is none, always by the deadline, and nothing of it is left."""

import os
import time

import pytest

from service.program import MOST_BYTES, ProgramError, TooLateError, ask

LONG = b"x" * (3 << 20)


@pytest.fixture
def program(tmp_path):
    def write(text: str, mode: int = 0o755):
        path = tmp_path / "program"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def answer(path, question: bytes = b"", timeout_s: float = 60.0, monotonic=time.monotonic) -> bytes:
    return ask(path, question, timeout_s=timeout_s, monotonic=monotonic)


def almost_late_once(path, timeout_s: float):
    """A clock that is at 0, and only just before the deadline once there is this file."""
    yield 0.0
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    while True:
        yield timeout_s - 0.1


def lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int) -> bool:
    """Whether it is gone soon: a killed process ends when the kernel comes to it."""
    deadline = time.monotonic() + 60
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not lives(pid)


def test_the_answer_is_what_it_writes(program):
    assert answer(program("#!/bin/sh\ntr a-z A-Z"), b"hello") == b"HELLO"


def test_a_long_question_is_said_while_the_answer_is_heard(program):
    path = program("#!/bin/sh\necho begun\nwc -c")
    assert answer(path, LONG).split() == [b"begun", str(len(LONG)).encode()]


def test_a_program_need_not_read_its_question(program):
    assert answer(program("#!/bin/sh\necho done"), LONG) == b"done\n"


def test_it_knows_nothing_of_this_process(program, monkeypatch):
    monkeypatch.setenv("NACRE_SECRET", "x")
    path = program("#!/bin/sh\npwd; /usr/bin/env | sort; ls /proc/self/fd | wc -l")
    told = answer(path).decode().split("\n")
    assert told[0] == "/"
    assert {line.partition("=")[0] for line in told[1:-2]} <= {"LC_ALL", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}
    assert int(told[-2]) <= 4  # its three, and the folder that is read


def test_one_that_hangs_is_killed_at_the_deadline_with_all_that_it_started(program, tmp_path):
    path = program(
        f"#!/bin/sh\nsleep 600 & echo $! > {tmp_path}/child\necho $$ > {tmp_path}/itself\ntouch {tmp_path}/up\nwait"
    )
    times = almost_late_once(tmp_path / "up", 30)
    with pytest.raises(TooLateError, match=r"no answer within 30 s"):
        answer(path, timeout_s=30, monotonic=lambda: next(times))
    assert ends(int((tmp_path / "child").read_text()))
    assert ends(int((tmp_path / "itself").read_text()))


def test_what_it_leaves_running_is_killed_when_it_ends(program, tmp_path):
    path = program(f"#!/bin/sh\nsleep 600 & echo $! > {tmp_path}/child\necho done")
    assert answer(path) == b"done\n"
    assert ends(int((tmp_path / "child").read_text()))


def test_one_that_closes_its_ends_and_stays_is_too_late(program):
    with pytest.raises(TooLateError):
        answer(program("#!/bin/sh\nexec <&- >&- 2>&-\nsleep 600"), timeout_s=0.3)


def test_one_that_crashes_is_told_with_what_it_complained_of(program):
    with pytest.raises(ProgramError, match="ended with status 3: no such weather"):
        answer(program("#!/bin/sh\necho no such weather >&2\nexit 3"))


def test_one_that_says_too_much_is_killed(program):
    with pytest.raises(ProgramError, match=f"more than {MOST_BYTES} bytes"):
        answer(program("#!/bin/sh\nyes"))


def test_one_that_complains_for_ever_is_killed_at_the_deadline(program):
    with pytest.raises(TooLateError):
        answer(program("#!/bin/sh\nyes >&2"), timeout_s=0.3)


@pytest.mark.parametrize(("text", "mode"), [("no program at all", 0o755), ("#!/nowhere/interpreter\n", 0o755)])
def test_what_cannot_be_started_is_told(program, text, mode):
    with pytest.raises(ProgramError, match="cannot be started"):
        answer(program(text, mode))


def test_no_pipe_stays_open(program):
    path = program("#!/bin/sh\necho done")
    answer(path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        answer(path)
    assert len(os.listdir("/proc/self/fd")) == before
