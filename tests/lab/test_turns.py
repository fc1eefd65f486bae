"""Several runs of tests share the lab, and what needs it alone waits for the others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.spec import CHECKOUT
from tests.lab.turns import Turns

pytestmark = pytest.mark.beside

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.lab.turns import Turns
turns = Turns(Path(sys.argv[1]))
turns.join()
assert list(Path(sys.argv[1]).glob("*.run"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_runs_know_of_each_other_until_they_leave(tmp_path: Path) -> None:
    first, second = Turns(tmp_path), Turns(tmp_path)
    assert not first.others_at_work()
    first.join()
    assert second.others_at_work()
    second.join()
    assert (first.others_at_work(), second.others_at_work()) == (True, True)
    first.leave()
    assert not second.others_at_work()


def test_a_killed_run_takes_part_no_longer(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    mine = Turns(tmp_path)
    mine.join()
    assert not mine.others_at_work()
    with mine.alone():
        assert len(list(tmp_path.glob("*.run"))) == 1


def test_what_needs_the_lab_alone_waits_until_the_other_run_has_left_and_none_begins_meanwhile(tmp_path: Path) -> None:
    order: list[str] = []
    one, other, late = Turns(tmp_path), Turns(tmp_path), Turns(tmp_path)
    one.join()
    other.join()

    def work_alone() -> None:
        with one.alone():
            order.append("alone")
            coming.start()
            coming.join(0.2)
            order.append("done")

    def come() -> None:
        late.join()
        order.append("late")

    coming, waiting = threading.Thread(target=come), threading.Thread(target=work_alone)
    waiting.start()
    waiting.join(0.2)
    order.append("left")
    other.leave()
    waiting.join()
    coming.join()
    assert order == ["left", "alone", "done", "late"]
