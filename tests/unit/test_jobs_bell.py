import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.db.engine.database import open_database
from service.jobs.bell import MemoryBell
from service.jobs.postgres_bell import PostgresBell
from service.jobs.unix_bell import LONG_QUEUE, UnixBell
from service.world import SystemClock, SystemIds, SystemThreads
from tests.worlds.jobs import SetClock

REAL = {"clock": SystemClock(), "ids": SystemIds(), "threads": SystemThreads()}
GENEROUS_S = 60.0
LISTEN = """
import sys
from pathlib import Path
from service.db.engine.database import open_database
from service.jobs.new_bell import new_bell
from service.world import SystemClock, SystemIds, SystemThreads
real = {"clock": SystemClock(), "ids": SystemIds(), "threads": SystemThreads()}
bell = new_bell(open_database(sys.argv[2]), Path(sys.argv[1]), **real)
with bell.listen("a") as listener:
    print("ready", flush=True)
    while True:
        if listener.wait(60):
            print("rung", flush=True)
"""


@pytest.fixture(params=["memory", "unix", "postgresql"])
def bells(request, tmp_path):
    """Makes bells that hear each other."""
    made, kind = [], request.param
    if kind == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.new()

    def bell():
        if kind == "memory":
            made[:] = made or [MemoryBell(SystemClock())]
        elif kind == "unix":
            made.append(UnixBell(tmp_path, **REAL))
        else:
            made.append(PostgresBell(open_database(url), **REAL))
            with made[-1].listen("any") as listener:
                assert listener.wait(GENEROUS_S), "once connected, it tells everybody to look"
        return made[-1]

    yield bell
    if kind == "postgresql":
        for one in made:
            one.close()
        server.drop(url)


@pytest.fixture
def bell(bells):
    return bells()


@pytest.fixture
def listening_process(tmp_path):
    yield from listening(tmp_path, "sqlite:////unused")


def listening(folder, url):
    process = subprocess.Popen([sys.executable, "-c", LISTEN, str(folder), url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_ring_before_the_wait_is_not_missed(bell):
    with bell.listen("a") as listener:
        bell.ring("a")
        assert listener.wait(0)


def test_one_ring_is_heard_once(bell):
    with bell.listen("a") as listener:
        bell.ring("a")
        bell.ring("b", "a")
        assert listener.wait(0)
        assert not listener.wait(0)


def test_another_topic_wakes_nobody(bell):
    with bell.listen("a") as listener:
        bell.ring("b")
        assert not listener.wait(0)


def test_everybody_on_a_topic_is_woken(bell):
    with bell.listen("a", "c") as first, bell.listen("b", "a") as second:
        bell.ring("a")
        assert first.wait(0)
        assert second.wait(0)


def test_a_closed_listener_hears_nothing(bell):
    listener = bell.listen("a")
    listener.close()
    bell.ring("a")
    assert not listener.wait(0)


def test_a_waiting_thread_is_woken(bell):
    heard = threading.Event()
    with bell.listen("a") as listener:
        thread = threading.Thread(target=lambda: listener.wait(GENEROUS_S) and heard.set())
        thread.start()
        bell.ring("a")
        thread.join()
    assert heard.is_set()


def test_a_ring_reaches_another_bell(bells):
    with bells().listen("a") as listener:
        bells().ring("a")
        assert listener.wait(GENEROUS_S)


class Transactions:
    """Some other database's."""

    def __init__(self):
        self.callbacks = []

    def after_commit(self, function):
        self.callbacks.append(function)

    def top_transaction(self):
        return self


@pytest.mark.parametrize("kind", ["memory", "unix"])
def test_a_ring_of_a_transaction_waits_for_its_commit(tmp_path, kind):
    bell, transactions = MemoryBell(SystemClock()) if kind == "memory" else UnixBell(tmp_path, **REAL), Transactions()
    with bell.listen("a") as listener:
        bell.ring_at_commit(transactions, "a")
        assert not listener.wait(0)
        transactions.callbacks[0]()
        assert listener.wait(0)


def test_a_ring_reaches_another_process(tmp_path, listening_process):
    UnixBell(tmp_path, **REAL).ring("b", "a")
    assert listening_process.stdout.readline() == "rung\n"


def test_the_socket_of_a_killed_process_is_cleared_by_the_next_ring(tmp_path, listening_process):
    listening_process.kill()
    listening_process.wait()
    assert len(list(tmp_path.iterdir())) == 1
    UnixBell(tmp_path, **REAL).ring("a")
    assert list(tmp_path.iterdir()) == []


def test_half_made_sockets_of_dead_processes_are_cleared(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / f".{gone.pid}-x").touch()
    (tmp_path / f".{os.getpid()}-y").touch()
    with UnixBell(tmp_path, **REAL).listen("a"):
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == [f".{os.getpid()}-y"]


def test_a_listener_whose_queue_overflowed_is_woken_all_the_same(tmp_path, listening_process):
    os.kill(listening_process.pid, signal.SIGSTOP)
    bell = UnixBell(tmp_path, **REAL)
    most = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    assert most >= LONG_QUEUE
    for _ in range(most + 5):
        bell.ring("b")
    bell.ring("a")  # lost: the queue is full of b
    os.kill(listening_process.pid, signal.SIGCONT)
    assert listening_process.stdout.readline() == "rung\n"


def test_a_folder_with_a_long_path_will_do(tmp_path):
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    with UnixBell(folder, **REAL).listen("a") as listener:
        UnixBell(folder, **REAL).ring("a")
        assert listener.wait(GENEROUS_S)


def test_a_ring_never_raises_for_what_is_already_committed(tmp_path):
    bell = UnixBell(tmp_path / "bell", **REAL)
    (tmp_path / "bell").rmdir()
    bell.ring("a")
    assert not (tmp_path / "bell").exists()


def test_waiting_on_a_set_clock_moves_it():
    clock = SetClock()
    with MemoryBell(clock).listen("a") as listener:
        assert not listener.wait(30)
    assert clock.monotonic() == 30
