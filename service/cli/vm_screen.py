"""nacre vm vnc, screenshot: the screen of a VM, for a normal viewer and as a picture."""

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

HERE = "127.0.0.1"
MOST_VIEWERS = 16
PIECE_BYTES = 64 * 1024


@app.command()
def vnc(
    name: Name,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port here (default: a free one).")] = 0,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=60, help="How long the password holds.")] = 10,
    output: Output = Format.TABLE,
) -> None:
    """Forward the VM's screen to a port of this computer, for any VNC viewer; Ctrl-C ends it."""
    opened = client().post(at("vms", name, "vnc"), {"seconds": minutes * 60})
    follow(opened["job"])
    with socket.create_server((HERE, port)) as listening, ThreadPoolExecutor(MOST_VIEWERS * 2) as threads:
        _tell(name, listening.getsockname()[1], opened, output)
        viewers: list[socket.socket] = []
        try:
            while True:
                viewers.append(listening.accept()[0])
                threads.submit(_forward, name, viewers[-1], threads.submit)
        except KeyboardInterrupt:
            notes.print(plain("ended"))
        finally:
            for viewer in viewers:
                _hang_up(viewer)


@app.command()
def screenshot(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="File for the PNG; - is standard output.")],
) -> None:
    """Take a picture of the VM's screen."""
    if output != Path("-") and output.is_dir():
        raise UsageError(f"{output} is a folder: name a file in it.")
    follow(client().post(at("vms", name, "screenshot")))
    picture = client().download(at("vms", name, "screenshot"))
    if output == Path("-"):
        sys.stdout.buffer.write(picture)
    else:
        output.write_bytes(picture)
        notes.print(plain(f"{output}: {len(picture)} bytes"))


def _tell(name: str, port: int, opened: Json, how: Format) -> None:
    command = f"vncviewer {HERE}::{port}"
    told = {"address": HERE, "port": port, "password": opened["password"], "expires_at": opened["expires_at"]}
    if how is Format.JSON:
        print_one({**told, "command": command}, how)
        sys.stdout.flush()
        return
    notes.print(plain(f"The screen of {name} is at {HERE}:{port}, for example: {command}"))
    notes.print(plain(f"password {opened['password']}, until {opened['expires_at']}; Ctrl-C ends the forwarding"))


def _forward(name: str, viewer: socket.socket, submit: Callable[..., Any]) -> None:
    """One viewer's connection, over a websocket of its own."""
    with viewer:
        try:
            with open_websocket(name, "vnc") as websocket:
                submit(_carry_shown, websocket, viewer)
                _carry_typed(viewer, websocket)
        except CliError as error:
            notes.print(plain(f"nacre: {error}"))


def _carry_typed(viewer: socket.socket, websocket: Connection) -> None:
    with suppress(OSError, ConnectionClosed):  # either side may go at any time
        while data := viewer.recv(PIECE_BYTES):
            websocket.send(data)


def _carry_shown(websocket: Connection, viewer: socket.socket) -> None:
    with suppress(OSError, ConnectionClosed):
        for shown in websocket:
            viewer.sendall(shown.encode() if isinstance(shown, str) else shown)
    if websocket.close_reason:
        notes.print(plain(f"the viewer's connection ended: {websocket.close_reason}"))
    _hang_up(viewer)


def _hang_up(viewer: socket.socket) -> None:
    """Wake whoever waits for this viewer."""
    with suppress(OSError):  # it may have gone
        viewer.shutdown(socket.SHUT_RDWR)
