"""`nacre vm console`, `vnc` and `screenshot` against an API and a console process that answer as the test says."""

import http
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.unit.cli_server import JOB, Server

TICKET = "one-use-only"
DONE = JOB | {"state": "succeeded", "progress": 1.0}
WAIT_S = 60


@pytest.fixture
def api() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def guest() -> Iterator[SimpleNamespace]:
    """A console process whose guest greets and echoes, "bye" ends it; `refuses` says no instead."""
    told = SimpleNamespace(refuses=False, offered=[])

    def handle(websocket: ServerConnection) -> None:
        websocket.send(b"login: ")
        for typed in websocket:
            if typed == b"bye":
                websocket.close(1000, "the guest has gone")
                return
            websocket.send(typed)

    def judge(websocket: ServerConnection, request):
        told.offered.append(request.headers["Sec-WebSocket-Protocol"])
        return websocket.respond(http.HTTPStatus.UNAUTHORIZED, "too old [console.bad_ticket]") if told.refuses else None

    with serve(handle, "127.0.0.1", 0, subprotocols=["nacre.console"], process_request=judge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1/consoles"
        yield told


def ticket(url: str) -> dict:
    return {"kind": "serial", "url": url, "protocol": "nacre.console", "ticket": TICKET}


@pytest.fixture
def command(api, tmp_path):
    """Starts the command as a process of its own."""
    (tmp_path / "token").write_text("nacre_secret\n")
    environment = {**os.environ, "HOME": str(tmp_path), "NACRE_URL": api.url}
    environment["NACRE_TOKEN_FILE"] = str(tmp_path / "token")

    def start(*words: str, **more) -> subprocess.Popen[bytes]:
        more = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        # Tests that run in the background ignore Ctrl-C, and so would what they start.
        begin = ["env", "--default-signal=INT", sys.executable, "-m", "service.cli.main"]
        return subprocess.Popen([*begin, *words], env=environment, **more)

    return start


def test_a_pipe_types_on_the_serial_line_until_the_escape(api, guest, command):
    api.say(ticket(guest.url))
    process = command("vm", "console", "web")
    assert process.stdout.read(7) == b"login: "
    process.stdin.write(b"root\r")
    process.stdin.flush()
    assert process.stdout.read(5) == b"root\r"
    out, err = process.communicate(b"\x1dnever typed", timeout=WAIT_S)
    assert (process.returncode, out) == (0, b"")
    assert b"closed" in err
    assert guest.offered == [f"nacre.console, {TICKET}"]
    assert api.asked[0][:2] == ("POST", "/v1/vms/web/consoles")


def test_the_end_of_a_guest_is_told_and_ends_the_command(api, guest, command):
    api.say(ticket(guest.url))
    process = command("vm", "console", "web")
    _, err = process.communicate(b"bye", timeout=WAIT_S)
    assert process.returncode == 0
    assert b"the guest has gone" in err


def test_on_a_terminal_every_key_goes_to_the_guest(api, guest, command):
    api.say(ticket(guest.url))
    ours, theirs = pty.openpty()
    process = command("vm", "console", "web", stdin=theirs)
    assert process.stdout.read(7) == b"login: "
    os.write(ours, b"\x03\x04")  # Ctrl-C and Ctrl-D
    assert process.stdout.read(2) == b"\x03\x04"
    os.write(ours, b"\x1d")
    assert process.wait(WAIT_S) == 0
    process.communicate()
    os.close(ours)
    os.close(theirs)


def test_a_refused_ticket_is_told_in_the_servers_words(api, guest, command):
    guest.refuses = True
    api.say(ticket(guest.url))
    process = command("vm", "console", "web")
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert b"too old [console.bad_ticket]" in err
    assert TICKET.encode() not in err


def test_a_console_process_that_is_down_is_told(api, command):
    with socket.socket() as bound:  # it does not listen, and nothing else gets the port meanwhile
        bound.bind(("127.0.0.1", 0))
        api.say(ticket(f"ws://127.0.0.1:{bound.getsockname()[1]}/v1/consoles"))
        process = command("vm", "console", "web")
        _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert b"is the console process running?" in err


def test_a_viewer_reaches_the_screen_through_a_port_of_this_computer(api, guest, command):
    api.say({"password": "8letters", "expires_at": "2030-01-01T00:00:00.000Z", "job": DONE}, ticket(guest.url))
    process = command("vm", "vnc", "web", "-o", "json")
    told = json.loads(b"".join(iter(process.stdout.readline, b"}\n")) + b"}")
    assert (told["address"], told["password"]) == ("127.0.0.1", "8letters")
    for _ in range(2):  # each viewer has a ticket of its own
        with socket.create_connection((told["address"], told["port"]), WAIT_S) as viewer:
            viewer.settimeout(WAIT_S)
            assert viewer.recv(100) == b"login: "
            viewer.sendall(b"RFB")
            assert viewer.recv(100) == b"RFB"
    assert [path for _, path, _ in api.asked] == ["/v1/vms/web/vnc", *["/v1/vms/web/consoles"] * 2]
    with socket.create_connection((told["address"], told["port"]), WAIT_S) as viewer:
        assert viewer.recv(100) == b"login: "
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0
        assert viewer.recv(100) == b""
    process.communicate()


@pytest.mark.parametrize("place", ["web.png", "-"])
def test_a_picture_goes_to_a_file_or_to_standard_output(api, command, tmp_path, place):
    api.say(DONE)
    api.answers.append((200, "image/png", b"\x89PNG picture"))
    process = command("vm", "screenshot", "web", "-o", place, cwd=tmp_path)
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert (out if place == "-" else (tmp_path / place).read_bytes()) == b"\x89PNG picture"
    assert [path for _, path, _ in api.asked] == ["/v1/vms/web/screenshot"] * 2
