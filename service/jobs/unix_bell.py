"""Bell between processes of one computer: a datagram socket each, in one folder.

A ring is one datagram to every socket there. Datagrams may be lost when a process is too slow to read (its queue is
short): see LONG_QUEUE. Callers that wait should still poll at long intervals, in case the ringing process was killed
between its commit and the ring.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from service.jobs.bell import Desk, LocalListener
from service.world import Clock, Ids, Threads, Transactions

log = structlog.get_logger(__name__)

# A datagram is only lost when the queue is full, and Linux makes no queue shorter than this (net.unix.max_dgram_qlen
# is 10). If that many are read in one go, some may have been lost: then all listeners are woken.
LONG_QUEUE = 8
MAX_DATAGRAM_BYTES = 4096
TOPICS_AT_ONCE = 50  # of about 40 bytes each


class UnixBell:
    """Bell whose rings reach every process with a UnixBell in the same folder.

    The first listen() starts one reader thread.
    """

    def __init__(self, folder: Path, *, clock: Clock, ids: Ids, threads: Threads) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._threads = threads
        self._name = f"{os.getpid()}-{ids.uuid()}"
        self._desk = Desk()
        self._lock = threading.Lock()
        self._listening = False
        self._gathered = threading.local()  # topics of each thread's transaction

    def ring(self, *topics: str) -> None:
        """Wake the listeners of any of the topics. Never blocks, never raises."""
        self._desk.ring(topics)
        try:
            self._ring_others("\n".join(topics).encode())
        except OSError as error:  # the change is already in the database: listeners also poll by themselves
            log.warning("bell.failed", folder=str(self._folder), error=str(error))

    def ring_at_commit(self, transactions: Transactions, *topics: str) -> None:
        """Wake them after the commit, by one ring for all topics of the transaction."""
        under_way, gathered = transactions.top_transaction(), vars(self._gathered)
        if under_way is None:
            self.ring(*topics)
            return
        if gathered.get("transaction") is not under_way:
            gathered |= {"transaction": under_way, "topics": {}}
            transactions.after_commit(self._ring_gathered)
        gathered["topics"] |= dict.fromkeys(topics)

    def _ring_gathered(self) -> None:
        gathered = vars(self._gathered)
        del gathered["transaction"]
        topics = list(gathered.pop("topics"))
        for begin in range(0, len(topics), TOPICS_AT_ONCE):
            self.ring(*topics[begin : begin + TOPICS_AT_ONCE])

    def _ring_others(self, message: bytes) -> None:
        with _reachable(self._folder) as root, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for name in os.listdir(root):
                if name != self._name and not name.startswith("."):
                    self._send(sender, f"{root}/{name}", message)

    def listen(self, *topics: str) -> LocalListener:
        """Subscribe to the topics."""
        listener = LocalListener(self._desk, self._clock, topics)
        self._desk.add(listener)
        with self._lock:
            if not self._listening:
                self._open()
                self._listening = True
        return listener

    def _send(self, sender: socket.socket, path: str, message: bytes) -> None:
        try:
            sender.sendto(message, path)
        except BlockingIOError:
            return  # its queue is full: its reader detects that (LONG_QUEUE)
        except (ConnectionRefusedError, FileNotFoundError):
            Path(path).unlink(missing_ok=True)  # its process has exited

    def _open(self) -> None:
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with _reachable(self._folder) as root:
            _remove_leftovers(Path(root))
            # Bind before the rename: a socket that does not receive under its final name would be removed as one of an
            # exited process.
            receiver.bind(f"{root}/.{self._name}")
            os.rename(f"{root}/.{self._name}", f"{root}/{self._name}")
        self._threads.start("bell", lambda: self._read(receiver))

    def _read(self, receiver: socket.socket) -> None:
        while True:
            messages = [receiver.recv(MAX_DATAGRAM_BYTES), *_waiting(receiver)]
            if len(messages) >= LONG_QUEUE:
                self._desk.ring_all()
            else:
                self._desk.ring(topic for message in messages for topic in message.decode().split("\n"))


def _waiting(receiver: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield receiver.recv(MAX_DATAGRAM_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return


def _remove_leftovers(root: Path) -> None:
    """Remove sockets of processes that were killed between bind and rename."""
    for path in root.glob(".*-*"):
        if not Path(f"/proc/{path.name[1:].split('-')[0]}").exists():
            path.unlink(missing_ok=True)


@contextmanager
def _reachable(folder: Path) -> Iterator[str]:
    """Give a short path to the folder: a socket's path may have 107 bytes only."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
