"""Tickets for consoles, and the process that lets people in with them: real websockets, hosts in memory."""

import dataclasses
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from service.console import server as server_module
from service.console.server import ConsoleServer
from service.console.vnc import VncStream
from service.db.tables import ConsoleTicket
from service.hypervisor.memory.memory_screen import GREETING
from service.hypervisor.values import Display
from service.world import SystemThreads
from tests.api.world import Cloud

PATH = "/v1/consoles"


@contextmanager
def served(cloud: Cloud, **settings) -> Iterator[ConsoleServer]:
    """The console process on a free port, with a slot for few."""
    wanted = cloud.settings.model_copy(update={"console_port": 0, "console_slots": 2, **settings})
    server = ConsoleServer(dataclasses.replace(cloud.ctx, settings=wanted, threads=SystemThreads()))
    accepting = threading.Thread(target=server.run, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        server.close()
        accepting.join(10)


@pytest.fixture
def console(cloud) -> Iterator[ConsoleServer]:
    cloud.make_vm()
    with served(cloud) as server:
        yield server


def ticket(cloud: Cloud, kind: str = "serial", name: str = "web") -> dict:
    return cloud.created(cloud.api.post(f"/v1/vms/{name}/consoles", json={"kind": kind}))


def opened(server: ConsoleServer, told: dict, *, path: str = PATH, **more) -> Connection:
    words = more.pop("subprotocols", [told["protocol"], told["ticket"]])
    return connect(f"ws://127.0.0.1:{server.port}{path}", subprotocols=words, proxy=None, **more)


def refusal(server: ConsoleServer, told: dict, **more) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        opened(server, told, **more)
    return refused.value.response.status_code, (refused.value.response.body or b"").decode()


def last_word(websocket: Connection) -> str:
    """Why the other side ended it."""
    try:
        while True:
            websocket.recv(timeout=20)
    except ConnectionClosed:
        return websocket.close_reason or ""


def test_what_is_typed_on_a_serial_line_comes_to_the_guest(cloud, console):
    with opened(console, ticket(cloud)) as websocket:
        assert websocket.recv(timeout=20) == GREETING
        websocket.send(b"root\r")
        assert websocket.recv(timeout=20) == b"root\r"
        websocket.send("text is bytes, too")
        assert websocket.recv(timeout=20) == b"text is bytes, too"


def test_a_ticket_opens_one_console(cloud, console):
    told = ticket(cloud)
    opened(console, told).close()
    status, text = refusal(console, told)
    assert status == 401
    assert "console.bad_ticket" in text


def test_a_ticket_is_used_up_by_one_of_many_at_once(cloud, console):
    told, ways = ticket(cloud), []

    def attempt() -> None:
        try:
            opened(console, told).close()
            ways.append("in")
        except InvalidStatus as error:
            ways.append(error.response.status_code)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ways.count("in") == 1
    assert set(ways) <= {"in", 401, 503}


def test_a_ticket_lives_for_seconds(cloud, console):
    told = ticket(cloud)
    cloud.clock.elapsed_s += 31
    assert refusal(console, told)[0] == 401
    ticket(cloud)
    assert len(cloud.rows(ConsoleTicket)) == 1  # the one that was too old is swept away


def test_a_ticket_is_told_once_and_kept_as_a_digest(cloud, console):
    told = ticket(cloud)
    assert told["url"].endswith(":8471/v1/consoles")
    assert told["ticket"] not in told["url"]
    assert [row.id == told["ticket"] for row in cloud.rows(ConsoleTicket)] == [False]
    assert [row.vm_id for row in cloud.rows(ConsoleTicket)] == [cloud.vm()["id"]]


def test_who_may_only_look_gets_no_console(cloud, console):
    answer = cloud.client("viewer").post("/v1/vms/web/consoles", json={"kind": "serial"})
    assert answer.status_code == 403


def test_a_stopped_vm_has_no_console(cloud, console):
    told = ticket(cloud)
    cloud.done(cloud.api.post("/v1/vms/web/force-off"))
    answer = cloud.api.post("/v1/vms/web/consoles", json={"kind": "vnc"})
    assert (answer.status_code, answer.json()["code"]) == (409, "vm.not_running")
    assert refusal(console, told)[0] == 409


@pytest.mark.parametrize("body", [{}, {"kind": "spice"}, {"kind": 1}, {"kind": "vnc", "more": 1}])
def test_there_are_two_kinds_of_console(cloud, console, body):
    assert cloud.api.post("/v1/vms/web/consoles", json=body).status_code == 422


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"path": "/elsewhere"}, 404),
        ({"subprotocols": ["nacre.console"]}, 400),
        ({"subprotocols": ["nacre.console", "one", "two"]}, 400),
        ({"subprotocols": ["nacre.console", "x" * 200]}, 400),
        ({"subprotocols": ["nacre.console", "nobody-knows-this"]}, 401),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_what_is_no_request_for_a_console_uses_no_ticket(cloud, console, change, status):
    told = ticket(cloud)
    for _ in range(3):  # more often than there are slots
        assert refusal(console, told, **change)[0] == status
    opened(console, told).close()


def test_a_page_of_a_known_origin_may_open_consoles(cloud):
    cloud.make_vm()
    with served(cloud, console_origins=("https://cloud.example",)) as server:
        opened(server, ticket(cloud), origin="https://cloud.example").close()
        opened(server, ticket(cloud), origin=f"http://127.0.0.1:{server.port}").close()


def test_a_console_ends_with_its_vm_and_says_so(cloud, console):
    with opened(console, ticket(cloud)) as websocket:
        cloud.done(cloud.api.post("/v1/vms/web/force-off"))
        assert last_word(websocket).startswith("the serial console was closed")


def test_connections_that_show_no_ticket_are_few(cloud, console):
    idle = [socket.create_connection(("127.0.0.1", console.port)) for _ in range(4)]
    with closing(socket.create_connection(("127.0.0.1", console.port))) as one_more:
        one_more.settimeout(10)
        assert one_more.recv(1) == b""
    for connection in idle:
        connection.close()


@pytest.fixture
def screen(monkeypatch) -> Iterator[SimpleNamespace]:
    """A pretended VNC server, on the port that every VM's screen is said to be at."""
    listening = socket.create_server(("127.0.0.1", 0))
    display = Display("127.0.0.1", listening.getsockname()[1])
    monkeypatch.setattr(server_module, "VncStream", lambda _display: VncStream(display))
    yield SimpleNamespace(listening=listening, display=display)
    listening.close()


def test_a_screen_speaks_with_its_viewer(cloud, console, screen):
    with opened(console, ticket(cloud, "vnc")) as websocket:
        qemu, _ = screen.listening.accept()
        with qemu:
            qemu.sendall(b"RFB 003.008\n")
            assert websocket.recv(timeout=20) == b"RFB 003.008\n"
            websocket.send(b"RFB 003.003\n")
            assert qemu.recv(100) == b"RFB 003.003\n"
        assert last_word(websocket) == "the VM's screen has ended: it stopped, or moved to another host"


def test_a_slot_is_held_as_long_as_its_console(cloud, console, screen):
    first, second = (opened(console, ticket(cloud, "vnc")) for _ in range(2))
    told = ticket(cloud, "vnc")
    assert refusal(console, told) == (503, "All console slots are in use: retry later.")
    first.close()
    for _ in range(100):  # the slot comes back a moment after the close
        try:
            third = opened(console, told)
        except InvalidStatus:
            continue
        break
    second.close()
    third.close()


def test_a_later_serial_line_ends_an_earlier_one(cloud, console):
    first = opened(console, ticket(cloud))
    with opened(console, ticket(cloud)):
        assert last_word(first) == "the serial console was closed, or another client has opened it"


def test_a_screen_is_left_when_its_viewer_goes(cloud, console, screen):
    opened(console, ticket(cloud, "vnc")).close()
    qemu, _ = screen.listening.accept()
    with qemu:
        qemu.settimeout(20)
        assert qemu.recv(1) == b""


def test_a_screen_that_does_not_answer_is_told(cloud, console, screen):
    screen.listening.close()
    with opened(console, ticket(cloud, "vnc")) as websocket:
        assert "does not respond" in last_word(websocket)
        assert websocket.close_code == 1011
