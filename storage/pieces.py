"""Incoming image data: cut at object boundaries, size checked, zeros dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from storage.errors import ConflictError

PIECE_BYTES = 4 << 20  # RBD's default object size, so that an object of zeros is never created


def check_inside(offset: int, length: int, *, size_bytes: int, what: str) -> None:
    """Raise ConflictError unless [offset, offset + length) lies inside the device."""
    if offset < 0 or length < 0 or offset + length > size_bytes:
        raise ConflictError(f"{what} holds {size_bytes} bytes: {length} bytes at {offset} do not fit")


def nonzero_pieces(
    chunks: Iterable[tuple[int, bytes]], *, size_bytes: int, what: str, progress: Callable[[int], None]
) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, data) pieces that are not all zeros, split at object boundaries.

    `progress` gets the offset reached after each chunk and `size_bytes` at the end.
    """
    for offset, data in chunks:
        check_inside(offset, len(data), size_bytes=size_bytes, what=what)
        yield from _cut(offset, data)
        progress(offset + len(data))
    progress(size_bytes)


def _cut(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(data):
        end = start + PIECE_BYTES - (offset + start) % PIECE_BYTES
        piece = data[start:end]
        if piece != bytes(len(piece)):
            yield offset + start, piece
        start = end
