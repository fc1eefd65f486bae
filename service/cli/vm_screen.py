"""Commands nacre vm vnc and nacre vm screenshot."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from websockets.exceptions import ConnectionClosed
from websockets.sync.connection import Connection

from service.cli.client import Json, at
from service.cli.errors import CliError, UsageError
from service.cli.output import Format, notes, plain, print_one
from service.cli.session import Output, client, follow
from service.cli.vm import Name, app
from service.cli.websocket import open_websocket

LOOPBACK = "127.0.0.1"
MAX_VIEWERS = 16
PIECE_BYTES = 64 * 1024


@app.command()
def vnc(
    name: Name,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Local port (default: a free one).")] = 0,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=60, help="Lifetime of the password in minutes.")] = 10,
    output: Output = Format.TABLE,
) -> None:
    """Open a VM's screen to VNC viewers on a local port.

    Ctrl-C closes the port.
    """
    opened = client().post(at("vms", name, "vnc"), {"seconds": minutes * 60})
    follow(opened["job"])
    with socket.create_server((LOOPBACK, port)) as listening, ThreadPoolExecutor(MAX_VIEWERS * 2) as threads:
        _print_address(name, listening.getsockname()[1], opened, output)
        viewers: list[socket.socket] = []
        try:
            while True:
                viewers.append(listening.accept()[0])
                threads.submit(_forward, name, viewers[-1], threads.submit)
        except KeyboardInterrupt:
            notes.print(plain("closed"))
        finally:
            for viewer in viewers:
                _disconnect(viewer)


@app.command()
def screenshot(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the PNG; - for standard output.")],
) -> None:
    """Take a screenshot of a VM as a PNG file."""
    if output != Path("-") and output.is_dir():
        raise UsageError(f"{output} is a directory: give the name of a file.")
    follow(client().post(at("vms", name, "screenshot")))
    picture = client().download(at("vms", name, "screenshot"))
    if output == Path("-"):
        sys.stdout.buffer.write(picture)
    else:
        output.write_bytes(picture)
        notes.print(plain(f"{output}: {len(picture)} bytes"))


def _print_address(name: str, port: int, opened: Json, how: Format) -> None:
    command = f"vncviewer {LOOPBACK}::{port}"
    access = {"address": LOOPBACK, "port": port, "password": opened["password"], "expires_at": opened["expires_at"]}
    if how is Format.JSON:
        print_one({**access, "command": command}, how)
        sys.stdout.flush()
        return
    notes.print(plain(f"The screen of {name} is at {LOOPBACK}:{port}, for example: {command}"))
    notes.print(plain(f"password {opened['password']}, valid until {opened['expires_at']}; Ctrl-C closes it"))


def _forward(name: str, viewer: socket.socket, submit: Callable[..., Any]) -> None:
    """Forward one viewer's connection over its own websocket."""
    with viewer:
        try:
            with open_websocket(name, "vnc") as websocket:
                submit(_copy_to_viewer, websocket, viewer)
                _copy_from_viewer(viewer, websocket)
        except CliError as error:
            notes.print(plain(f"nacre: {error}"))


def _copy_from_viewer(viewer: socket.socket, websocket: Connection) -> None:
    with suppress(OSError, ConnectionClosed):  # either side may disconnect at any time
        while data := viewer.recv(PIECE_BYTES):
            websocket.send(data)


def _copy_to_viewer(websocket: Connection, viewer: socket.socket) -> None:
    with suppress(OSError, ConnectionClosed):
        for message in websocket:
            viewer.sendall(message.encode() if isinstance(message, str) else message)
    if websocket.close_reason:
        notes.print(plain(f"the viewer's connection ended: {websocket.close_reason}"))
    _disconnect(viewer)


def _disconnect(viewer: socket.socket) -> None:
    """Shut down a viewer's socket, which wakes the threads that read it."""
    with suppress(OSError):  # it may be closed already
        viewer.shutdown(socket.SHUT_RDWR)
