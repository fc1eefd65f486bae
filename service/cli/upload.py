"""Resumable upload of a file in pieces."""

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
# Temporary errors: another client still sends to the upload, or no slot or space is free. Worth a retry.
TEMPORARY = frozenset(
    {"upload.busy", "upload.wrong_offset", "upload.cut_short", "upload.no_room", "service.busy", "database.busy"}
)
MAX_TRIES = 8  # in a row without progress
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 15.0

Show = Callable[[int], None]


def send(client: Client, file: Path, image: Json) -> str:
    """Upload a file as the image in `image`; return the id of the import job."""
    size_bytes = file.stat().st_size
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("checksum", total=size_bytes)
        image = {
            **image,
            "size_bytes": size_bytes,
            "sha256": _digest(file, lambda n: progress.update(bar, completed=n)),
        }
        upload = _find_unfinished(client, image) or client.post("/v1/uploads", image)
        progress.update(bar, description="upload", completed=upload["offset"])
        with file.open("rb") as stream:
            return _send_all(client, upload, stream, lambda n: progress.update(bar, completed=n))


def _find_unfinished(client: Client, image: Json) -> Json | None:
    """Return an unfinished upload of the same file under the same name, or None."""
    for upload in client.items("/v1/uploads", name=image["name"]):
        same = all(upload[key] == image[key] for key in ("size_bytes", "sha256", "format", "compression"))
        if same and upload["job_id"] is None:
            notes.print(f"resuming the upload after {upload['offset'] >> 20} MiB")
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
            if not _is_temporary(error) or tries > MAX_TRIES:
                raise
        threading.Event().wait(min(FIRST_PAUSE_S * 2**tries, LAST_PAUSE_S))
        upload = _refresh(client, path, upload)
    return str(upload["job_id"])


def _refresh(client: Client, path: str, upload: Json) -> Json:
    try:
        return client.get(path)
    except LostError:  # still unreachable: the next try raises it again
        return upload


def _send_piece(client: Client, upload: Json, stream: IO[bytes], show: Show) -> Json:
    offset = int(upload["offset"])
    length = min(PIECE_BYTES, int(upload["size_bytes"]) - offset)
    stream.seek(offset)
    return client.send(at("uploads", upload["id"]), _chunks(stream, length, show), length, offset)


def _chunks(stream: IO[bytes], length: int, show: Show) -> Iterator[bytes]:
    remaining = length
    while remaining:
        chunk = stream.read(min(CHUNK_BYTES, remaining))
        if not chunk:
            raise CliError("The file became shorter during the upload: upload it again.")
        remaining -= len(chunk)
        yield chunk
        show(stream.tell())


def _is_temporary(error: ApiError | LostError) -> bool:
    return isinstance(error, LostError) or error.problem.get("code") in TEMPORARY


def _digest(file: Path, show: Show) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            show(stream.tell())
    return digest.hexdigest()
