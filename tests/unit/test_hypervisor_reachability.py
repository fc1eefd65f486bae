"""Hosts that hang, at a real socket: each costs what it may, and the process that hangs on them is another's."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bench.silent_hosts import make_pki
from service.hypervisor.contract import HostEndpoint
from service.hypervisor.errors import HostUnreachableError
from service.hypervisor.events import EventHub
from service.hypervisor.libvirt_link import connection as connection_module
from service.hypervisor.libvirt_link import reachability as prober_module
from service.hypervisor.libvirt_link import tls_check as knock_module
from service.hypervisor.libvirt_link.bounded import Crew
from service.hypervisor.libvirt_link.connection import HostConnection
from service.hypervisor.libvirt_link.pki import TLS_PORT, Pki
from service.hypervisor.libvirt_link.reachability import Reachability
from tests.unit.hosts_that_hang import ADDRESSES, NOBODY, Listener

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"), ADDRESSES)


@pytest.fixture(autouse=True)
def slow_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may take its time to begin: no test fails on that."""
    monkeypatch.setattr(prober_module, "START_S", PATIENCE_S)


@pytest.fixture
def prober(pki: Path) -> Iterator[Reachability]:
    made = Reachability(pki, timeout_s=2.0)
    yield made
    made.close()


@pytest.fixture
def patient(pki: Path) -> Iterator[Reachability]:
    """One that gives many hosts the time to greet."""
    made = Reachability(pki, timeout_s=3.0)
    yield made
    made.close()


@pytest.fixture
def listen(pki: Path) -> Iterator[Callable[..., HostEndpoint]]:
    made: list[Listener] = []

    def at(address: str, *, greets: bool = False) -> HostEndpoint:
        made.append(Listener(address, TLS_PORT, pki=pki if greets else None))
        return HostEndpoint(f"host-{address}", address)

    yield at
    for one in made:
        one.close()


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_silent_hosts_are_given_up_and_cost_no_thread_here(prober: Reachability, listen) -> None:
    silent = [listen(address) for address in ADDRESSES[:20]]
    prober.ask(silent[:1])
    threads = threading.active_count()
    assert set(prober.ask(silent).values()) == {"no answer in time"}
    assert threading.active_count() == threads


def test_silent_hosts_are_waited_for_together(pki: Path) -> None:
    """Each costs the process a connection, and all of these are open before the first deadline: they share it."""
    prober = Reachability(pki, timeout_s=2 * PATIENCE_S)
    with ExitStack() as stack:
        listeners = [stack.enter_context(closing(Listener(address, TLS_PORT))) for address in ADDRESSES[:20]]
        silent = [HostEndpoint(f"host{number}", address) for number, address in enumerate(ADDRESSES[:20])]
        asking = threading.Thread(target=prober.ask, args=(silent,))
        asking.start()
        wait_until(lambda: all(any(map(is_open, listener.accepted)) for listener in listeners))
        prober.close()
        asking.join(PATIENCE_S)
        assert not asking.is_alive()


def is_open(accepted: socket.socket) -> bool:
    """Whether the other end has not hung up."""
    try:
        return accepted.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True


def test_a_closed_port_is_told_at_once(prober: Reachability) -> None:
    nobody = HostEndpoint("nobody", NOBODY)
    assert prober.ask([nobody]) == {nobody: "Connection refused"}


def test_a_host_that_greets_and_then_hangs_costs_the_process_and_not_us(prober: Reachability, listen) -> None:
    hangs = listen(ADDRESSES[20], greets=True)
    prober.ask([HostEndpoint("nobody", NOBODY)])
    first = prober.pid
    assert prober.ask([hangs]) == {hangs: "TLS works, but libvirt does not open"}
    wait_until(lambda: not alive(first))
    assert prober.ask([HostEndpoint("nobody", NOBODY)]).popitem()[1] == "Connection refused"
    assert prober.pid not in (None, first)


def test_many_that_hang_do_not_keep_the_others_from_an_answer(patient: Reachability, listen) -> None:
    hang = [listen(address, greets=True) for address in ADDRESSES[:20]]
    silent = [listen(ADDRESSES[21])]
    told = patient.ask(hang + silent)
    assert {told[one] for one in hang} == {"TLS works, but libvirt does not open"}
    assert told[silent[0]] == "no answer in time"


def test_who_was_asked_for_when_the_process_died_is_asked_for_again(pki: Path, listen) -> None:
    prober, silent = Reachability(pki, timeout_s=2.0), listen(ADDRESSES[22])
    told: list[dict] = []
    asking = threading.Thread(target=lambda: told.append(prober.ask([silent])))
    asking.start()
    wait_until(lambda: prober.pid)
    first = prober.pid
    os.kill(first, 9)
    asking.join(PATIENCE_S)
    assert told == [{silent: "no answer in time"}]
    assert prober.pid != first
    prober.close()


def test_a_process_that_hangs_itself_is_ended_at_the_deadline(pki: Path, listen, monkeypatch) -> None:
    prober, silent = Reachability(pki, timeout_s=0.3), listen(ADDRESSES[23])
    prober.ask([silent])
    monkeypatch.setattr(prober_module, "START_S", 0.5)
    first = prober.pid
    os.kill(first, 19)
    assert prober.ask([silent]) == {silent: prober_module.NO_ANSWER}
    wait_until(lambda: not alive(first))
    prober.close()


def test_nothing_is_left_after_the_end(pki: Path) -> None:
    prober = Reachability(pki)
    prober.ask([HostEndpoint("nobody", NOBODY)])
    pid = prober.pid
    prober.close()
    wait_until(lambda: not alive(pid))
    told = prober.ask([HostEndpoint("nobody", NOBODY)])
    assert list(told.values()) == [prober_module.NO_ANSWER]


def test_a_host_that_falls_silent_while_it_is_opened_frees_its_thread(pki: Path, listen, monkeypatch) -> None:
    """The prober has found it well, and a moment later libvirt.open() hangs in this very process."""

    class Trusting:
        def ask(self, endpoints):
            return dict.fromkeys(endpoints)

    monkeypatch.setattr(connection_module, "OPEN_S", 1.5)
    hangs, crew = listen(ADDRESSES[24], greets=True), Crew("opener")
    host = HostConnection(hangs, Pki(pki), EventHub(), crew=crew, prober=Trusting())
    with pytest.raises(HostUnreachableError, match="did not answer in 2 s"):
        host.call(lambda connection: connection.getHostname(), timeout_s=2.0)
    monkeypatch.setattr(connection_module, "KNOCK_TIMEOUT_S", 0.2)
    wait_until(lambda: crew._idle == sum(thread.name == "opener" for thread in threading.enumerate()))
    assert host._opening_since_s is None


def test_without_the_probers_word_nothing_is_opened(pki: Path) -> None:
    class Wary:
        def ask(self, endpoints):
            return dict.fromkeys(endpoints, "it is ill")

    host = HostConnection(HostEndpoint("h", NOBODY), Pki(pki), EventHub(), crew=Crew(), prober=Wary())
    with pytest.raises(HostUnreachableError, match=f"host h .*{knock_module.TLS_PORT}.* cannot be reached: it is ill"):
        host.call(lambda connection: connection.getHostname())
