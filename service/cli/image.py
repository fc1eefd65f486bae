"""nacre image …"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import Progress, TaskID

from service.cli.client import at
from service.cli.errors import UsageError
from service.cli.output import Column, Format, notes, print_one, print_rows, size
from service.cli.session import Output, Wait, client, finish, group

app = group("Images that VMs are cloned from.")

CHUNK_BYTES = 1 << 20


class DiskFormat(enum.StrEnum):
    """What a file may be declared to be."""

    RAW = "raw"
    QCOW2 = "qcow2"


SUFFIXES = {".qcow2": DiskFormat.QCOW2, ".raw": DiskFormat.RAW, ".img": DiskFormat.RAW}

COLUMNS: tuple[Column, ...] = (
    ("NAME", lambda image: image["name"]),
    ("STATE", lambda image: image["state"]),
    ("SIZE", lambda image: size(image["size_bytes"])),
    ("FORMAT", lambda image: image["format"]),
    ("USER", lambda image: image["default_user"]),
    ("POOL", lambda image: image["pool"]),
)


@app.command("list")
def list_images(output: Output = Format.TABLE) -> None:
    """List all images."""
    print_rows(client().items("/v1/images"), COLUMNS, output)


@app.command()
def show(name: str, output: Output = Format.TABLE) -> None:
    """Show one image."""
    print_one(client().get(at("images", name)), output)


@app.command()
def upload(
    name: str,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    format_: Annotated[DiskFormat | None, typer.Option("--format", help="Default: by the file's name.")] = None,
    user: Annotated[str, typer.Option("--user", help="Who logs in to VMs of this image.")] = "nacre",
    wait: Wait = True,
    output: Output = Format.TABLE,
) -> None:
    """Upload an image file."""
    declared = format_ or SUFFIXES.get(file.suffix)
    if declared is None:
        raise UsageError(f"What is {file.name}? Say --format raw or --format qcow2.")
    query = {"name": name, "format": declared.value, "default_user": user}
    shown = Progress(console=notes, transient=True, disable=not notes.is_terminal)
    with file.open("rb") as stream, shown as progress:
        size_bytes = file.stat().st_size
        bar = progress.add_task("upload", total=size_bytes)
        job = client().upload("/v1/uploads", _chunks(stream, progress, bar), size_bytes, query)
    finish(job, wait=wait, how=output, done=f"image {name} is ready")


@app.command()
def delete(name: str, wait: Wait = False, output: Output = Format.TABLE) -> None:
    """Delete an image that no VM is a clone of."""
    finish(client().delete(at("images", name)), wait=wait, how=output, done=f"image {name} is gone")


def _chunks(stream: IO[bytes], progress: Progress, bar: TaskID) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk
        progress.advance(bar, len(chunk))
