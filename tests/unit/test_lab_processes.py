"""A recorded process is ended, and never another one that got its number."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import processes, store
from lab.detach import detach
from lab.spec import CHECKOUT


@pytest.fixture
def sleeper() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL) as child:
        yield child
        child.kill()


def test_a_record_survives_being_written_and_read(tmp_path: Path) -> None:
    me = processes.record_of(os.getpid())
    assert me is not None
    processes.save(tmp_path / "run/me.pid", me)
    assert processes.load(tmp_path / "run/me.pid") == me


def test_a_record_that_was_cut_short_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "me.pid"
    path.write_text("12")
    assert processes.load(path) is None


def test_a_missing_record_counts_as_none(tmp_path: Path) -> None:
    assert processes.load(tmp_path / "me.pid") is None


def test_start_time_and_state_are_read_behind_a_name_with_spaces_and_brackets() -> None:
    stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 987654 1000 10 18446744073709551615"
    assert processes.parse_stat(stat) == ("S", 987654)


def test_the_recorded_process_is_ended(sleeper: "subprocess.Popen[bytes]") -> None:
    record = processes.record_of(sleeper.pid)
    assert record is not None
    processes.end(record)
    assert processes.record_of(sleeper.pid) is None


def test_a_polite_end_lets_the_process_finish_by_sigterm(sleeper: "subprocess.Popen[bytes]") -> None:
    record = processes.record_of(sleeper.pid)
    assert record is not None
    processes.end(record, grace_s=20)
    assert processes.record_of(sleeper.pid) is None


def test_a_process_that_got_the_number_of_a_recorded_one_is_left_alone(sleeper: "subprocess.Popen[bytes]") -> None:
    record = processes.record_of(sleeper.pid)
    assert record is not None
    processes.end(replace(record, start_ticks=record.start_ticks - 1))
    assert sleeper.poll() is None


def test_a_record_of_an_earlier_boot_is_not_alive(sleeper: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    record = processes.record_of(sleeper.pid)
    assert record is not None
    processes.save(tmp_path / "x.pid", replace(record, boot_id="00000000-0000-0000-0000-000000000000"))
    assert processes.load(tmp_path / "x.pid") is None


def test_a_process_that_nobody_has_collected_is_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert processes.record_of(sleeper.pid) is None


HOLD = """
import sys, time
from pathlib import Path
from lab import store
with store.locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(300)
"""


def test_a_run_that_holds_the_lock_is_ended_so_that_the_lock_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "locks/one"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, cwd=CHECKOUT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        store.end_holder(lock)
        with store.locked(lock):
            pass
    assert processes.record_of(holder.pid) is None


def test_nobody_is_ended_once_the_lock_was_given_back(tmp_path: Path) -> None:
    lock = tmp_path / "one"
    with store.locked(lock):
        pass
    store.end_holder(lock)
    assert processes.record_of(os.getpid()) is not None


def test_a_detached_process_is_recorded_and_writes_its_log(tmp_path: Path) -> None:
    record, log = tmp_path / "x.pid", tmp_path / "logs/x.log"
    detach(["/bin/sh", "-c", "echo hello; exec sleep 300"], environment={}, log=log, record=record)
    started = processes.load(record)
    assert started is not None
    processes.end(started)
    assert processes.load(record) is None
    assert log.exists()
