"""nacre vm console …: the serial line of a VM on this terminal."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed
from websockets.sync.connection import Connection

from service.cli.output import notes, plain
from service.cli.vm import Name, app
from service.cli.websocket import open_websocket

ESCAPE = b"\x1d"  # Ctrl-]
PIECE_BYTES = 4096


@app.command("console")
def open_console(name: Name) -> None:
    """Type on the VM's serial line; Ctrl-] ends it. Whoever had it open before loses it."""
    with open_websocket(name, "serial") as websocket:
        notes.print(plain(f"serial line of {name}: Ctrl-] ends, Return may bring a prompt"))
        reader, writer = os.pipe()
        with raw_terminal(sys.stdin.fileno()), ThreadPoolExecutor(1) as threads:
            said = threads.submit(_show, websocket, writer)
            try:
                _carry_typed(websocket, sys.stdin.fileno(), reader)
            finally:  # an interrupt, too, ends the one who shows
                websocket.close()
            reason = said.result()
        os.close(reader)
    notes.print()
    notes.print(plain(reason or "ended"))


@contextmanager
def raw_terminal(fd: int) -> Iterator[None]:
    """Every key goes to the guest, Ctrl-C too; nothing happens where `fd` is no terminal."""
    if not os.isatty(fd):
        yield
        return
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _carry_typed(websocket: Connection, typed: int, ended: int) -> None:
    """Until Ctrl-], or until `ended` can be read. A file or pipe that ends lets the guest go on talking."""
    sources = [typed, ended]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if ended in ready:
            return
        data = os.read(typed, PIECE_BYTES)
        if not data:
            sources.remove(typed)
            continue
        before, escape, _ = data.partition(ESCAPE)
        if not _sent(websocket, before) or escape:
            return


def _sent(websocket: Connection, data: bytes) -> bool:
    try:
        if data:
            websocket.send(data)
    except ConnectionClosed:
        return False
    return True


def _show(websocket: Connection, writer: int) -> str:
    """Write what the guest says; why it ended, "" when that was our doing."""
    try:
        for said in websocket:
            os.write(sys.stdout.fileno(), said.encode() if isinstance(said, str) else said)
    except ConnectionClosed:
        return "the connection broke"
    finally:
        os.close(writer)  # wakes the one who waits for keys
    return websocket.close_reason or ""
