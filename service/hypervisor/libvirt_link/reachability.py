"""Probes of hosts in a separate process, which is killed when it hangs.

An unreachable host costs a socket there and nothing in this process. One process for all hosts, started when needed.
"""

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

import structlog

from service.hypervisor.libvirt_link.pki import TLS_PORT
from service.hypervisor.values import HostEndpoint
from service.json_types import JsonObject

log = structlog.get_logger(__name__)
TIMEOUT_S = 4.0  # for the greeting, and again for opening
START_S = 10.0  # for a process to start on a busy computer
KNOCKS_AT_ONCE = 512
OPENS_AT_ONCE = 16
MOST_STUCK = 8  # half of its threads: then another process is used, and it is killed once it has no pending probes
TRIES = 2  # a host that was being probed when the process ended is probed again
NO_ANSWER = "the probe gave no answer"


@dataclass(slots=True)
class _Probe:
    """Pending probe of a host. `problem` is None if it is reachable."""

    endpoint: HostEndpoint
    tries: int = 0
    problem: str | None = NO_ANSWER
    answered: threading.Event = field(default_factory=threading.Event)


class _Process:
    """A prober process. `pending` are its unanswered probes by id."""

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
        self.pending: dict[int, _Probe] = {}
        self.stuck = 0

    def send(self, **asked: object) -> None:
        """Send a request; does nothing if the process has ended: its reader handles that."""
        if self.child.stdin is not None:
            with suppress(OSError):
                self.child.stdin.write(json.dumps(asked).encode() + b"\n")
                self.child.stdin.flush()

    def end(self) -> None:
        """Kill it and close its pipes."""
        self.child.kill()
        with suppress(OSError), self.child:  # closes the pipes and waits
            pass


class Reachability:
    """Prober of hosts. Safe from any thread; the process starts at the first probe."""

    def __init__(self, pki: Path, *, timeout_s: float = TIMEOUT_S, port: int = TLS_PORT) -> None:
        self._pki = pki
        self._timeout_s = timeout_s
        self._port = port
        self._lock = threading.Lock()
        self._process: _Process | None = None  # for new probes
        self._processes: set[_Process] = set()  # all that run
        self._numbers = 0
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Id of the process; None if there is none."""
        process = self._process
        return process.child.pid if process else None

    def ask(self, endpoints: Collection[HostEndpoint]) -> dict[HostEndpoint, str | None]:
        """Probe hosts: return None for one whose libvirt opens, otherwise the problem.

        Ends within a deadline, which grows by half a minute per thousand unreachable hosts.
        """
        probes = [_Probe(endpoint) for endpoint in endpoints]
        for probe in probes:
            self._put(probe)
        turns = 2 + len(probes) // KNOCKS_AT_ONCE
        deadline_s = time.monotonic() + START_S + TRIES * turns * self._timeout_s
        for probe in probes:
            if not probe.answered.wait(max(0.0, deadline_s - time.monotonic())):
                self._end("it has not answered in time")
        return {probe.endpoint: probe.problem for probe in probes}

    def close(self) -> None:
        """End the process; nothing starts it again."""
        self._closed = True
        self._end("it is not needed any more")

    def _put(self, probe: _Probe) -> None:
        with self._lock:
            if self._closed or probe.tries == TRIES:
                probe.answered.set()
                return
            self._numbers += 1
            process = self._process or self._start()
            process.pending[self._numbers] = probe
            address = probe.endpoint.address
            process.send(id=self._numbers, address=address, port=self._port, timeout_s=self._timeout_s)

    def _start(self) -> _Process:
        process = self._process = _Process(self._pki)
        self._processes.add(process)
        threading.Thread(target=self._listen, args=(process,), name="prober", daemon=True).start()
        return process

    def _end(self, reason: str) -> None:
        """Kill all processes, without the lock: a writer to a hung process may hold it."""
        for process in tuple(self._processes):
            log.info("prober.ended", pid=process.child.pid, reason=reason)
            process.child.kill()

    def _listen(self, process: _Process) -> None:
        for line in process.child.stdout or ():
            if line.endswith(b"\n"):
                self._handle(process, json.loads(line))
        with self._lock:
            if self._process is process:
                self._process = None
            self._processes.discard(process)
            pending = list(process.pending.values())
        process.end()
        for probe in pending:
            probe.tries += 1
            self._put(probe)

    def _handle(self, process: _Process, message: JsonObject) -> None:
        with self._lock:
            probe = process.pending.pop(message["id"])
            process.stuck += "stuck" in message
            useless = process.stuck > 0 and not process.pending
            if (useless or process.stuck >= MOST_STUCK) and self._process is process:
                self._process = None  # new probes start a new process
        if "busy" in message:
            self._put(probe)
        else:
            probe.problem = message["problem"]
            probe.answered.set()
        if useless:
            log.info("prober.ended", pid=process.child.pid, reason="threads hang in libvirt", stuck=process.stuck)
            process.child.kill()
