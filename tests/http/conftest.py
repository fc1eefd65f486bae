"""The served application, and clients that are not nice."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


class Served:
    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def connect(self, *, receive_bytes: int | None = None) -> socket.socket:
        client = socket.socket()
        if receive_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(20)
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

    def assert_quick(self, count: int = 20) -> None:
        """New clients are answered at once."""
        for _ in range(count):
            began = time.monotonic()
            assert httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
            assert time.monotonic() - began < 2


def everything(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(*arguments: str, port: int) -> Iterator[Served]:
    """A server process until the end; it must have ended by itself when told to."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=log, stderr=log)
        served = Served(port)
        try:
            await_answer(process, served)
            yield served
        finally:
            process.terminate()
            process.wait(30)
            log.seek(0)
            assert process.returncode == 0, log.read()[-5000:]


def await_answer(process: subprocess.Popen, served: Served) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{served.url}/healthz", timeout=5).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"no answer: {process.poll()}")


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    port = free_port()
    with running("-m", "tests.http.served", str(port), port=port) as server:
        yield server
