"""The runner that looks for tests that fail now and then."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests import stress

ROOT = Path(__file__).parents[2]
GENEROUS_S = 60


@pytest.fixture
def write(tmp_path):
    """Writes a test of these lines; its path."""

    def write(*lines: str) -> str:
        path = tmp_path / "test_it.py"
        path.write_text("\n    ".join(["def test_it():", *lines]))
        return str(path)

    return write


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.stress", *arguments]
    quick = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=quick, stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize(("line", "failed", "status"), [("assert True", 0, 0), ("assert False", 2, 1)])
def test_the_last_line_counts_the_rounds_that_failed(write, line, failed, status):
    process = start("2", write(line))
    printed, _ = process.communicate(timeout=2 * GENEROUS_S)
    assert (printed.splitlines()[-1], process.returncode) == (f"stress: 2 rounds, {failed} failed", status)


def test_burners_are_gone_afterwards():
    with stress.burners(2) as burners:
        assert [burner.poll() for burner in burners] == [None, None]
    assert [burner.returncode for burner in burners] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_burners_are_gone_when_it_is_stopped(write, tmp_path, number):
    up = tmp_path / "up"
    os.mkfifo(up)
    process = start("1", write("import time", f"open({str(up)!r}, 'w').close()", "time.sleep(600)"))
    up.read_text()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == stress.BURNERS + 1
    try:
        os.kill(process.pid, number)
        process.wait(GENEROUS_S)
        deadline = time.monotonic() + GENEROUS_S
        while any(burns(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(burns(pid) for pid in children)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def burns(pid: str) -> bool:
    """Whether it is a burner that has not ended."""
    try:
        return b"while True" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_only_files_of_tests_that_need_no_cluster_are_chosen():
    names = ["tests/unit/test_a.py", "tests/lab/test_b.py", "tests/conftest.py", "tests/api/test_c.py"]
    assert stress.chosen(names) == ["tests/api/test_c.py", "tests/unit/test_a.py"]
