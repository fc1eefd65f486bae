"""Content of a sparse raw file: its written chunks and its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK_BYTES = 4 << 20
ZEROS = bytes(CHUNK_BYTES)


def written_chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, data) of a raw file's written parts; holes are skipped."""
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        offset = _next_data(file.fileno(), 0)
        while offset is not None and offset < end:
            hole = os.lseek(file.fileno(), offset, os.SEEK_HOLE)
            while offset < hole:
                data = os.pread(file.fileno(), min(CHUNK_BYTES, hole - offset), offset)
                yield offset, data
                offset += len(data)
            offset = _next_data(file.fileno(), offset)


def digest(path: Path, size_bytes: int, look: Callable[[int], None]) -> str:
    """Return the SHA-256, as hex, of the file and of zeros up to `size_bytes`.

    `look` gets the offset reached.
    """
    found, at = hashlib.sha256(), 0
    for offset, data in written_chunks(path):
        for _ in _zeros(found, at, offset):
            look(offset)
        found.update(data)
        at = offset + len(data)
        look(at)
    for reached in _zeros(found, at, size_bytes):
        look(reached)
    return found.hexdigest()


def _zeros(found: hashlib._Hash, start: int, end: int) -> Iterator[int]:
    for at in range(start, end, CHUNK_BYTES):
        found.update(ZEROS[: end - at])
        yield at


def _next_data(descriptor: int, offset: int) -> int | None:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError:  # ENXIO: only holes up to the end
        return None
