"""Prober process: checks TLS of hosts and opens libvirt; killed when it hangs.

The protocol is JSON, one object per line, any number at a time: {"id", "address", "port", "timeout_s"} in; out {"id",
"problem"}, where no problem is null; with "stuck" when libvirt.open() has not returned in time: its thread is lost
then, and when enough are, the parent ends the process; {"id", "busy"} when all threads are lost: use another process.

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
from typing import TypeVar

import libvirt

from service.hypervisor.libvirt_link.pki import WELCOME, Pki, trouble
from service.json_types import Json, JsonObject

Result = TypeVar("Result")
IDLE_S = 120.0
READ_BYTES = 1 << 14
LONGEST_LINE = 1 << 16


class Tls:
    """TLS connection over a non-blocking socket."""

    def __init__(self, context: ssl.SSLContext, plain: socket.socket, address: str) -> None:
        self._plain = plain
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.talk = context.wrap_bio(self._coming, self._going, server_hostname=address)

    async def until_done(self, action: Callable[[], Result]) -> Result:
        """Repeat `action()` of `talk` until it needs no more data."""
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
    """Prober that answers on standard output."""

    def __init__(self, pki: Pki, *, knocks: int, opens: int) -> None:
        self._pki = pki
        self._tls = pki.context()
        self._knocks = asyncio.Semaphore(knocks)
        self._opens = asyncio.Semaphore(opens)  # a thread that hangs never releases it
        self._threads = ThreadPoolExecutor(opens)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Answer until standard input ends, or no request came for a while."""
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

    async def _answer(self, asked: Mapping[str, Json]) -> None:
        answer = {"id": asked["id"], **await self._probe(asked["address"], asked["port"], asked["timeout_s"])}
        os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")  # one write, so that lines do not mix

    async def _probe(self, address: str, port: int, timeout_s: float) -> JsonObject:
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
            return {"problem": "TLS works, but libvirt does not open", "stuck": True}
        self._opens.release()
        return {"problem": opening.result()}

    async def _check_tls(self, address: str, port: int) -> None:
        """Check TLS as tls_check.py does; asyncio's TLS takes 0.25 MiB per stalled host."""
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
    os._exit(0)  # without waiting for threads that hang in libvirt
