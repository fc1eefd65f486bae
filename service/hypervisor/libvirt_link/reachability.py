"""Asks a process of its own whether hosts would answer, and kills it when it hangs: a silent host costs a socket there
and nothing here. One process for all hosts, started when it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from service.hypervisor.libvirt_link.pki import TLS_PORT
from service.hypervisor.values import HostEndpoint

log = structlog.get_logger(__name__)
TIMEOUT_S = 4.0  # for the greeting, and again for opening
START_S = 10.0  # what a process may take to begin on a busy computer
KNOCKS_AT_ONCE = 512
OPENS_AT_ONCE = 16
MOST_STUCK = 8  # half of its threads: another one is asked from then on, and it is killed when it owes no more answers
TRIES = 2  # a host that was asked for when the process died is asked for again
NO_WORD = "nothing was heard of it"


@dataclass(slots=True)
class _Question:
    """One host that somebody waits for. No problem: None."""

    endpoint: HostEndpoint
    tries: int = 0
    problem: str | None = NO_WORD
    answered: threading.Event = field(default_factory=threading.Event)


class _Process:
    """One life of the prober. `owed`: what it has not answered yet."""

    def __init__(self, pki: Path) -> None:
        words = [
            sys.executable,
            "-m",
            "service.hypervisor.libvirt_link.reachability_process",
            str(pki),
            str(KNOCKS_AT_ONCE),
            str(OPENS_AT_ONCE),
        ]
        self.child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.owed: dict[int, _Question] = {}
        self.stuck = 0

    def send(self, **asked: object) -> None:
        """Silent when it has ended: whoever listens to it notices."""
        if self.child.stdin is not None:
            with suppress(OSError):
                self.child.stdin.write(json.dumps(asked).encode() + b"\n")
                self.child.stdin.flush()

    def bury(self) -> None:
        """After its last word."""
        self.child.kill()
        with suppress(OSError), self.child:  # closes the pipes and waits
            pass


class Reachability:
    """Safe from any thread. Nothing starts before the first question."""

    def __init__(self, pki: Path, *, timeout_s: float = TIMEOUT_S, port: int = TLS_PORT) -> None:
        self._pki = pki
        self._timeout_s = timeout_s
        self._port = port
        self._lock = threading.Lock()
        self._process: _Process | None = None  # the one to ask
        self._processes: set[_Process] = set()  # all that live
        self._numbers = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        process = self._process
        return process.child.pid if process else None

    def ask(self, endpoints: Collection[HostEndpoint]) -> dict[HostEndpoint, str | None]:
        """None for a host whose libvirt opens, else what is wrong. Ends within a deadline that grows with their number
        by the half of a minute for a thousand, if all are silent."""
        questions = [_Question(endpoint) for endpoint in endpoints]
        for question in questions:
            self._put(question)
        turns = 2 + len(questions) // KNOCKS_AT_ONCE
        deadline_s = time.monotonic() + START_S + TRIES * turns * self._timeout_s
        for question in questions:
            if not question.answered.wait(max(0.0, deadline_s - time.monotonic())):
                self._end("it has not answered in time")
        return {question.endpoint: question.problem for question in questions}

    def close(self) -> None:
        """End the process; nothing starts it again."""
        self._closed = True
        self._end("it is not needed any more")

    def _put(self, question: _Question) -> None:
        with self._lock:
            if self._closed or question.tries == TRIES:
                question.answered.set()
                return
            self._numbers += 1
            process = self._process or self._start()
            process.owed[self._numbers] = question
            address = question.endpoint.address
            process.send(id=self._numbers, address=address, port=self._port, timeout_s=self._timeout_s)

    def _start(self) -> _Process:
        process = self._process = _Process(self._pki)
        self._processes.add(process)
        threading.Thread(target=self._listen, args=(process,), name="prober", daemon=True).start()
        return process

    def _end(self, reason: str) -> None:
        """Takes no lock: a process that does not even read may hold up whoever writes to it."""
        for process in tuple(self._processes):
            log.info("prober.ended", pid=process.child.pid, reason=reason)
            process.child.kill()

    def _listen(self, process: _Process) -> None:
        for line in process.child.stdout or ():
            if line.endswith(b"\n"):
                self._heard(process, json.loads(line))
        with self._lock:
            if self._process is process:
                self._process = None
            self._processes.discard(process)
            owed = list(process.owed.values())
        process.bury()
        for question in owed:
            question.tries += 1
            self._put(question)

    def _heard(self, process: _Process, told: dict[str, Any]) -> None:
        with self._lock:
            question = process.owed.pop(told["id"])
            process.stuck += "stuck" in told
            useless = process.stuck > 0 and not process.owed
            if (useless or process.stuck >= MOST_STUCK) and self._process is process:
                self._process = None  # who asks from now on asks a new one
        if "busy" in told:
            self._put(question)
        else:
            question.problem = told["problem"]
            question.answered.set()
        if useless:
            log.info("prober.ended", pid=process.child.pid, reason="threads hang in libvirt", stuck=process.stuck)
            process.child.kill()
