"""A lane beside the main one: its output and exit status, and its end with the block."""

import os
import sys
from pathlib import Path

from tests.lane import Lane

TALKS = "print('of the lane', flush=True)\n"
# It tells how an interrupt reached it; its child does not hear of any, and would outlive it.
LASTS = """
import signal, subprocess, time
child = subprocess.Popen(["sleep", "600"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
try:
    print(child.pid, flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def python(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", text


def test_the_exit_status_is_the_command_s_and_its_output_is_shown_when_it_has_ended(tmp_path, capsys):
    with Lane(python(TALKS + "raise SystemExit(3)"), tmp_path / "lane.log") as lane:
        assert lane.wait() == 3
        assert capsys.readouterr().out == "\nof the lane\n"
    assert (tmp_path / "lane.log").read_text() == "of the lane\n"


def test_at_the_end_of_the_block_it_is_interrupted_with_all_that_it_started(tmp_path, capsys):
    log = tmp_path / "lane.log"
    with Lane(python(LASTS), log):
        while not log.read_text().endswith("\n"):
            os.sched_yield()
    child, said = capsys.readouterr().out.split()
    assert said == "interrupted"
    while is_alive(int(child)):
        os.sched_yield()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended may wait to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
