"""A pretended internet: names with addresses of the test's choosing, and a real server here behind each of them."""

import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager
from ipaddress import ip_address

import httpcore

Answer = Callable[[bytes], bytes]  # the request's head → all that is sent back


class Outside:
    """See service.network.outside.Outside. `asked` are the names that were resolved, `reached` the connections."""

    def __init__(self) -> None:
        self.names: dict[str, list[tuple[str, ...]]] = {}
        self.own: set[str] = set()
        self.ports: dict[str, int] = {}
        self.asked: list[str] = []
        self.reached: list[tuple[str, int]] = []

    def add(self, name: str, *answers: tuple[str, ...]) -> None:
        """A name; each time it is asked for it has the next of these answers, at last the last one."""
        self.names[name] = list(answers)

    def resolve(self, host: str):
        self.asked.append(host)
        answers = self.names.get(host)
        if not answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return tuple(ip_address(text) for text in (answers.pop(0) if len(answers) > 1 else answers[0]))

    def is_own(self, address) -> bool:
        return str(address) in self.own

    def connect(self, address, port: int, timeout_s: float):
        self.reached.append((str(address), port))
        if str(address) not in self.ports:
            raise httpcore.ConnectError("no route")
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.ports[str(address)], timeout=timeout_s)

    @contextmanager
    def server(self, address: str, answer: Answer, wrap=None):
        """While it lasts, this answers at a public address; `wrap` makes TLS of a connection."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.ports[address] = listener.getsockname()[1]
            thread = threading.Thread(
                target=_serve, args=(listener, answer, wrap or (lambda plain: plain)), daemon=True
            )
            thread.start()
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join(10)
                del self.ports[address]


def _serve(listener: socket.socket, answer: Answer, wrap) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the test is over
            return
        with connection:
            try:
                _talk(wrap(connection), answer)
            except OSError:  # the client hung up, as it should
                continue


def _talk(connection: socket.socket, answer: Answer) -> None:
    with connection:
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return
            head += data
        connection.sendall(answer(head))


def ok(body: bytes, *headers: str) -> bytes:
    """A plain answer."""
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def moved(where: str, status: int = 302) -> bytes:
    """A redirect."""
    return f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()
