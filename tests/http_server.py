"""A server in a process of its own, and clients that are not nice."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
GENEROUS_S = 60.0  # it bounds a failure, it measures nothing


class Served:
    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def connect(self, *, receive_bytes: int | None = None) -> socket.socket:
        client = socket.socket()
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(GENEROUS_S)
        client.connect(("127.0.0.1", self.port))
        return client

    @contextmanager
    def crowd(self, size: int, says: bytes, **more) -> Iterator[list[socket.socket]]:
        """So many clients at once that each say this and then nothing."""
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(self.connect(**more))) for _ in range(size)]
            for client in clients:
                client.sendall(says)
            yield clients

    def says(self, raw: bytes) -> bytes:
        """Everything that is answered to these bytes until the server ends the connection."""
        with closing(self.connect()) as client:
            client.sendall(raw)
            return everything(client)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=GENEROUS_S)

    def assert_serves(self, count: int = 20) -> None:
        """New clients are answered, whoever else is connected: the server waits for others longer than these do."""
        for _ in range(count):
            assert self.get("/healthz").status_code == 200


def everything(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


@contextmanager
def running(*module: str) -> Iterator[Served]:
    """A server process until the end; it must have ended by itself when told to.

    Its last argument is the number of a socket that is bound already: no other process can take the port.
    """
    with tempfile.TemporaryFile("w+") as log, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # --pdeathsig: it does not outlive tests that are killed.
        command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", *module, str(listener.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, pass_fds=[listener.fileno()])
        served = Served(listener.getsockname()[1])
        listener.close()  # the process has it
        try:
            await_answer(process, served)
            yield served
        finally:
            process.terminate()
            process.wait(GENEROUS_S)
            log.seek(0)
            assert process.returncode == 0, log.read()[-5000:]


def await_answer(process: subprocess.Popen, served: Served) -> None:
    deadline = time.monotonic() + GENEROUS_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            served.get("/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer: {process.poll()}")
