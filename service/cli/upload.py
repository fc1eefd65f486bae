"""Sends a file in pieces, and goes on where it stopped: after a broken connection, or in another call."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from service.cli.client import Client, Json, at
from service.cli.errors import ApiError, CliError, LostError
from service.cli.output import notes

CHUNK_BYTES = 1 << 20
PIECE_BYTES = 256 << 20
# What passes by itself: another call that still holds the upload, no thread or room to spare just now.
PASSING = frozenset(
    {"upload.busy", "upload.wrong_offset", "upload.cut_short", "upload.no_room", "service.busy", "database.busy"}
)
MOST_TRIES = 8  # in a row without a byte more
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 15.0

Show = Callable[[int], None]


def send(client: Client, file: Path, said: Json) -> str:
    """Send a file that becomes the image that is `said`; returns the id of the import's job."""
    size_bytes = file.stat().st_size
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("checksum", total=size_bytes)
        said = {**said, "size_bytes": size_bytes, "sha256": _digest(file, lambda n: progress.update(bar, completed=n))}
        upload = _begun(client, said) or client.post("/v1/uploads", said)
        progress.update(bar, description="upload", completed=upload["offset"])
        with file.open("rb") as stream:
            return _send_all(client, upload, stream, lambda n: progress.update(bar, completed=n))


def _begun(client: Client, said: Json) -> Json | None:
    """An upload of this very file for this very name that was broken off."""
    for upload in client.items("/v1/uploads", name=said["name"]):
        same = all(upload[key] == said[key] for key in ("size_bytes", "sha256", "format", "compression"))
        if same and upload["job_id"] is None:
            notes.print(f"going on after {upload['offset'] >> 20} MiB that are there already")
            return upload
    return None


def _send_all(client: Client, upload: Json, stream: IO[bytes], show: Show) -> str:
    path, tries, farthest = at("uploads", upload["id"]), 0, -1
    while upload["job_id"] is None:
        try:
            upload = _send_piece(client, upload, stream, show)
            continue
        except (ApiError, LostError) as error:
            tries = tries + 1 if upload["offset"] <= farthest else 1
            farthest = max(farthest, upload["offset"])
            if not _passes(error) or tries > MOST_TRIES:
                raise
        threading.Event().wait(min(FIRST_PAUSE_S * 2**tries, LAST_PAUSE_S))
        upload = _looked_up(client, path, upload)
    return str(upload["job_id"])


def _looked_up(client: Client, path: str, upload: Json) -> Json:
    try:
        return client.get(path)
    except LostError:  # not back yet: the next try says so again
        return upload


def _send_piece(client: Client, upload: Json, stream: IO[bytes], show: Show) -> Json:
    offset = int(upload["offset"])
    length = min(PIECE_BYTES, int(upload["size_bytes"]) - offset)
    stream.seek(offset)
    return client.send(at("uploads", upload["id"]), _chunks(stream, length, show), length, offset)


def _chunks(stream: IO[bytes], length: int, show: Show) -> Iterator[bytes]:
    left = length
    while left:
        chunk = stream.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise CliError("The file became shorter while it was sent: send it again.")
        left -= len(chunk)
        yield chunk
        show(stream.tell())


def _passes(error: ApiError | LostError) -> bool:
    return isinstance(error, LostError) or error.problem.get("code") in PASSING


def _digest(file: Path, show: Show) -> str:
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            found.update(chunk)
            show(stream.tell())
    return found.hexdigest()
