"""Consoles of domains in RAM: a grey screen, and a serial console that echoes."""

from __future__ import annotations

import threading
from datetime import datetime
from queue import Empty, SimpleQueue

from service.hypervisor.contract import Console
from service.hypervisor.errors import ConsoleClosedError
from service.hypervisor.memory.memory_devices import MemoryPart
from service.hypervisor.picture import png
from service.hypervisor.values import Display
from service.hypervisor.vnc_password import check_password

GREETING = b"\r\nnacre-memory login: "
SCREEN = (16, 9)
FIRST_PORT = 5900


class MemoryConsole:
    """Serial console that echoes its input."""

    def __init__(self, lost: threading.Event) -> None:
        self._lost = lost
        self._said: SimpleQueue[bytes] = SimpleQueue()
        self._said.put(GREETING)

    def read(self, timeout_s: float) -> bytes:
        try:
            return self._said.get(timeout=0 if self._lost.is_set() else timeout_s)
        except Empty:
            self._check_open()
            return b""

    def write(self, data: bytes) -> None:
        self._check_open()
        self._said.put(data)

    def close(self) -> None:
        self._lost.set()

    def _check_open(self) -> None:
        if self._lost.is_set():
            raise ConsoleClosedError("the serial console was closed, or another client has opened it")


class MemoryScreen(MemoryPart):
    """VNC, screenshots and the serial console."""

    def set_vnc_password(self, vm_id: str, password: str | None, *, expires_at: datetime | None = None) -> None:
        check_password(password)
        with self._cloud.lock:
            hardware = self._hardware(vm_id)
            hardware.vnc_password, hardware.vnc_expires_at = password, expires_at

    def display(self, vm_id: str) -> Display | None:
        self._hardware(vm_id)
        return Display(self._endpoint.address, FIRST_PORT + list(self._host().domains).index(vm_id))

    def screenshot(self, vm_id: str) -> bytes:
        self._hardware(vm_id)
        width, height = SCREEN
        return png(width, height, b"\x80" * (width * height * 3))

    def open_console(self, vm_id: str) -> Console:
        with self._cloud.lock:
            hardware = self._hardware(vm_id)
            hardware.console.set()
            hardware.console = threading.Event()
            return MemoryConsole(hardware.console)
