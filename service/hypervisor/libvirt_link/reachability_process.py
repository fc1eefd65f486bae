"""Process that checks TLS of hosts, opens libvirt where a host responds, and is killed when it hangs.

Speaks JSON, one object per line, any number at a time: {"id", "address", "port", "timeout_s"} in; out {"id",
"problem"}, where no problem is null; with "stuck" when libvirt.open() has not come back in time: its thread is lost
then, and when enough are, whoever started the process ends it; {"id", "busy"} when all threads are: ask another one.

It exits when its standard input ends. Imports as little as it can. Started with the folder of keys and how many TLS
checks and libvirt connections it may have open at a time:
`python -m service.hypervisor.libvirt_link.reachability_process PKI_FOLDER CHECKS OPENS`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import libvirt

from service.hypervisor.libvirt_link.pki import WELCOME, Pki, trouble

Result = TypeVar("Result")
IDLE_S = 120.0
READ_BYTES = 1 << 14
LONGEST_LINE = 1 << 16


class Tls:
    """One TLS connection over a socket that does not block."""

    def __init__(self, context: ssl.SSLContext, plain: socket.socket, address: str) -> None:
        self._plain = plain
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.talk = context.wrap_bio(self._coming, self._going, server_hostname=address)

    async def until_done(self, action: Callable[[], Result]) -> Result:
        """`action()` of `talk`, as often as it needs more to come."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(self._plain, self._going.read())
                more = await loop.sock_recv(self._plain, READ_BYTES)
                self._coming.write(more) if more else self._coming.write_eof()
            else:
                await loop.sock_sendall(self._plain, self._going.read())
                return result


class Probing:
    """Answers on standard output."""

    def __init__(self, pki: Pki, *, knocks: int, opens: int) -> None:
        self._pki = pki
        self._tls = pki.context()
        self._knocks = asyncio.Semaphore(knocks)
        self._opens = asyncio.Semaphore(opens)  # a thread that hangs keeps its place
        self._threads = ThreadPoolExecutor(opens)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until standard input ends, or nobody has asked for a while."""
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await self._next(reader):
            task = asyncio.create_task(self._answer(json.loads(line)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _next(self, reader: asyncio.StreamReader) -> bytes:
        while True:
            try:
                return await asyncio.wait_for(reader.readline(), IDLE_S)
            except TimeoutError:
                if not self._tasks:
                    return b""

    async def _answer(self, asked: Mapping[str, Any]) -> None:
        told = {"id": asked["id"], **await self._probe(asked["address"], asked["port"], asked["timeout_s"])}
        os.write(sys.stdout.fileno(), json.dumps(told).encode() + b"\n")  # one line, whole

    async def _probe(self, address: str, port: int, timeout_s: float) -> dict[str, Any]:
        async with self._knocks:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._check_tls(address, port)
            except OSError as error:
                return {"problem": trouble(error)}
        try:
            await asyncio.wait_for(self._opens.acquire(), timeout_s)
        except TimeoutError:
            return {"busy": True}
        opening = asyncio.get_running_loop().run_in_executor(self._threads, self._open, address, port)
        done, _ = await asyncio.wait((opening,), timeout=timeout_s)
        if not done:
            return {"problem": "it greets, but libvirt does not open", "stuck": True}
        self._opens.release()
        return {"problem": opening.result()}

    async def _check_tls(self, address: str, port: int) -> None:
        """As tls_check.py does it; asyncio's own TLS holds a quarter of a MiB for each unresponsive host."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as plain:
            plain.setblocking(False)
            await loop.sock_connect(plain, (address, port))
            tls = Tls(self._tls, plain, address)
            await tls.until_done(tls.talk.do_handshake)
            if await tls.until_done(lambda: tls.talk.read(1)) != WELCOME:
                raise ConnectionError("it does not accept this client's certificate")

    def _open(self, address: str, port: int) -> str | None:
        try:
            libvirt.open(self._pki.url(address, port)).close()
        except libvirt.libvirtError as error:
            return str(error)
        return None


if __name__ == "__main__":
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    folder, knocks, opens = sys.argv[1:]
    asyncio.run(Probing(Pki(Path(folder)), knocks=int(knocks), opens=int(opens)).run())
    os._exit(0)  # threads that hang in libvirt are not waited for
