"""The playbook on a cluster that it has deployed: it changes nothing by itself, and --check tells the truth."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from lab.deploy import ANSIBLE, PLAYBOOK
from lab.inventory import LAB_VARIABLES
from lab.spec import CHECKOUT
from tests.lab.sweep import MON
from tests.lab.whole_lab import WholeLab

pytestmark = pytest.mark.beside

SETTING = "nacre_osd_memory_target_bytes"
OTHER_BYTES = 1_000_000_000


def play(lab: WholeLab, *options: str) -> str:
    """Run the playbook and return what it printed."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    playbook = CHECKOUT / ".venv/bin/ansible-playbook"
    command = [str(playbook), "-i", str(lab.spec.folder / "inventory.yml"), str(PLAYBOOK), *options]
    done = subprocess.run(
        command, cwd=ANSIBLE, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return done.stdout


def changes(printed: str) -> list[int]:
    """The recap's `changed=` of every host."""
    return [int(count) for count in re.findall(r"\bchanged=(\d+)", printed)]


def osd_memory_target(lab: WholeLab) -> int:
    """What the cluster's own database says."""
    return int(lab.machine("host1").run([*MON, "config", "get", "osd", "osd_memory_target"]))


def test_check_with_one_edited_setting_shows_that_difference_and_changes_nothing(lab: WholeLab) -> None:
    before = osd_memory_target(lab)
    assert before == LAB_VARIABLES[SETTING]
    printed = play(lab, "--check", "--diff", "-e", f"{SETTING}={OTHER_BYTES}")
    assert sum(changes(printed)) == 1
    removed = [line for line in printed.splitlines() if re.match(r"-(?!-)", line)]
    added = [line for line in printed.splitlines() if re.match(r"\+(?!\+)", line)]
    assert len(removed) == len(added) == 1, printed
    assert str(before) in removed[0]
    assert str(OTHER_BYTES) in added[0]
    assert osd_memory_target(lab) == before


def test_a_second_run_of_the_playbook_changes_nothing(lab: WholeLab) -> None:
    counts = changes(play(lab, "--diff"))
    assert counts == [0] * len(lab.machines)
