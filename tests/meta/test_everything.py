"""`make test`: whose exit status it has, and what becomes of the lab."""

import os
import subprocess
import sys

import pytest

from tests import everything

DOWN = [sys.executable, "-m", "lab", "down", "--lab", "test"]


@pytest.fixture
def began(monkeypatch, tmp_path) -> list[tuple[str, ...]]:
    """Commands that were begun; nothing is really run, all that is begun passes, and no lab is up."""
    commands = []

    class Passes:
        """A lane."""

        def __init__(self, command, _log) -> None:
            self.command = command
            commands.append(command)

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            pass

        def wait(self) -> int:
            return 0

    def run(command) -> int:
        commands.append(command)
        return 0

    monkeypatch.setattr(everything, "run", run)
    monkeypatch.setattr(everything, "Lane", Passes)
    monkeypatch.setattr(subprocess, "run", lambda command, **_options: commands.append(command))
    monkeypatch.setattr(everything, "is_running", lambda: False)
    monkeypatch.delenv("LAB_KEEP", raising=False)
    return commands


def test_all_suites_run_and_the_lab_is_down_afterwards(began):
    assert everything.main() == 0
    first = [everything.LAB_UP, everything.DEBIAN, everything.WITHOUT_LAB]
    assert began == [*first, everything.BESIDE, everything.OTHERS, DOWN]


@pytest.mark.parametrize("failing", [everything.WITHOUT_LAB, everything.OTHERS])
def test_a_failure_of_any_suite_is_one_of_the_run(began, monkeypatch, failing):
    monkeypatch.setattr(everything, "run", lambda command: 3 if command == failing else 0)
    assert everything.main() == 3
    assert began[-2:] == [everything.BESIDE, DOWN]


def test_a_failure_of_what_runs_beside_is_one_of_the_run(began, monkeypatch):
    monkeypatch.setattr(everything.Lane, "wait", lambda lane: int(lane.command == everything.BESIDE))
    assert everything.main() == 1
    assert everything.OTHERS in began


def test_a_lab_that_did_not_come_up_is_left_to_the_suites_on_it(began, monkeypatch):
    monkeypatch.setattr(everything.Lane, "wait", lambda lane: int(lane.command == everything.LAB_UP))
    assert everything.main() == 0
    assert everything.OTHERS in began


def test_the_lab_is_down_after_an_interrupt(began):
    with pytest.raises(KeyboardInterrupt), everything.lab_left_as_it_was():
        raise KeyboardInterrupt
    assert began == [DOWN]


@pytest.mark.parametrize("why", ["was up", "LAB_KEEP"])
def test_a_lab_stays_up_when_it_was_up_before_or_is_to_be_kept(began, monkeypatch, why):
    if why == "was up":
        monkeypatch.setattr(everything, "is_running", lambda: True)
    else:
        monkeypatch.setenv("LAB_KEEP", "1")
    with everything.lab_left_as_it_was():
        pass
    assert began == []


# As Ctrl-C does: the whole group is interrupted, once the parent waits for this process.
CTRL_C = """
import os, signal, time
while open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[0] != "S":
    os.sched_yield()
try:
    os.killpg(os.getpgrp(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print("tidied up", flush=True)
"""


def test_an_interrupted_run_waits_for_its_command():
    run = f"import os, sys; from tests import everything; everything.run((sys.executable, '-c', {CTRL_C!r}))"
    environment = os.environ | {"PYTHONPATH": str(everything.CHECKOUT)}
    command = [sys.executable, "-c", run]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, start_new_session=True)
    assert done.stdout == "tidied up\n"
    assert "KeyboardInterrupt" in done.stderr
