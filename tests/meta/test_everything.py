"""`make test`: whose exit status it has, and what becomes of the lab that comes up beside the first suites."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from lab.command import TIED_TO_US
from lab.spec import CHECKOUT
from tests import everything

DOWN = [sys.executable, "-m", "lab", "down", "--lab", "test"]


class Ahead:
    """The process that brings the lab up."""

    def __init__(self, *_args, **_options) -> None:
        self.calls = []

    def kill(self) -> None:
        self.calls.append("kill")

    def wait(self) -> None:
        self.calls.append("wait")


@pytest.fixture
def ran(monkeypatch, tmp_path) -> list[list[str]]:
    """Commands that were run; nothing is really run, and no lab is up."""
    commands = []

    def run(command, **_options) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(subprocess, "Popen", Ahead)
    monkeypatch.setattr(everything, "LOG", tmp_path / "ahead.log")
    monkeypatch.setattr(everything, "is_running", lambda: False)
    monkeypatch.delenv("LAB_KEEP", raising=False)
    return commands


def test_the_exit_status_is_that_of_tox_and_the_lab_is_down_afterwards(ran):
    assert everything.main() == 3
    assert ran == [[*TIED_TO_US, str(CHECKOUT / ".venv/bin/tox")], DOWN]


def test_the_lab_is_down_after_an_interrupt(ran):
    with pytest.raises(KeyboardInterrupt), everything.lab_ahead():
        raise KeyboardInterrupt
    assert ran == [DOWN]


@pytest.mark.parametrize("why", ["was up", "LAB_KEEP"])
def test_a_lab_stays_up_when_it_was_up_before_or_is_to_be_kept(ran, monkeypatch, why):
    if why == "was up":
        monkeypatch.setattr(everything, "is_running", lambda: True)
    else:
        monkeypatch.setenv("LAB_KEEP", "1")
    with everything.lab_ahead():
        pass
    assert ran == []
