"""A lane beside the main one: its output and exit status, and its end with the block."""

import os
import sys
from pathlib import Path

import pytest

from tests import cpu_share
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


def test_what_it_starts_has_its_share_of_the_cpu_wherever_it_goes(tmp_path):
    look = "print(open('/proc/self/cgroup').read())"
    with Lane((*cpu_share.NICE, "setsid", "--wait", *python(look)), tmp_path / "lane.log", share=0.25) as lane:
        assert lane.wait() == 0
    point = cpu_share.hierarchy(Path("/proc/self/mountinfo").read_text())
    assert point is None or ":/nacre-tests-25\n" in (tmp_path / "lane.log").read_text()
    assert point is None or (point / "nacre-tests-25/cpu.shares").read_text() == "256\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "/sys/fs/cgroup/cpu"),
        ("30 23 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
        ("30 23 0:26 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset", None),
        ("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", None),
    ],
)
def test_the_cpu_hierarchy_is_found_among_the_mounts(line, found):
    assert cpu_share.hierarchy(line) == (found and Path(found))


def test_without_it_a_smaller_share_is_nice_and_a_whole_one_nothing(monkeypatch):
    monkeypatch.setattr(cpu_share, "hierarchy", lambda _: None)
    assert cpu_share.command(0.25, ("true",)) == (*cpu_share.NICE, "true")
    assert cpu_share.command(1.0, ("true",)) == ("true",)


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
