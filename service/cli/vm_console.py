"""Command nacre vm console: a VM's serial console on this terminal."""

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
    """Open a VM's serial console on this terminal, until Ctrl-].

    A console that is open elsewhere is closed.
    """
    with open_websocket(name, "serial") as websocket:
        notes.print(plain(f"serial console of {name}: Ctrl-] closes it, Return may show a prompt"))
        reader, writer = os.pipe()
        with raw_terminal(sys.stdin.fileno()), ThreadPoolExecutor(1) as threads:
            output = threads.submit(_copy_output, websocket, writer)
            try:
                _copy_input(websocket, sys.stdin.fileno(), reader)
            finally:  # also on an interrupt: it ends the output thread
                websocket.close()
            reason = output.result()
        os.close(reader)
    notes.print()
    notes.print(plain(reason or "closed"))


@contextmanager
def raw_terminal(fd: int) -> Iterator[None]:
    """Switch the terminal `fd` to raw mode, so that Ctrl-C too goes to the guest."""
    if not os.isatty(fd):
        yield
        return
    settings = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, settings)


def _copy_input(websocket: Connection, source: int, ended: int) -> None:
    """Send input until Ctrl-], or until `ended` is readable.

    At the end of a file or pipe the output continues.
    """
    sources = [source, ended]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if ended in ready:
            return
        data = os.read(source, PIECE_BYTES)
        if not data:
            sources.remove(source)
            continue
        text, escape, _ = data.partition(ESCAPE)
        if not _send(websocket, text) or escape:
            return


def _send(websocket: Connection, data: bytes) -> bool:
    try:
        if data:
            websocket.send(data)
    except ConnectionClosed:
        return False
    return True


def _copy_output(websocket: Connection, writer: int) -> str:
    """Write the guest's output; return why it ended, "" if the user closed it."""
    try:
        for message in websocket:
            os.write(sys.stdout.fileno(), message.encode() if isinstance(message, str) else message)
    except ConnectionClosed:
        return "the connection broke"
    finally:
        os.close(writer)  # wakes _copy_input
    return websocket.close_reason or ""
