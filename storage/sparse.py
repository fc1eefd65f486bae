"""Sparse bytes in RAM, used by the devices of the memory backend."""

from __future__ import annotations

from collections.abc import Iterator

BLOCK_BYTES = 64 << 10
_ZEROS = bytes(BLOCK_BYTES)


class SparseBytes:
    """Sparse bytes, copy-on-write over an optional parent that must not change.

    Reads of missing blocks go to the parent; a write copies the parent's block first.
    """

    def __init__(self, parent: SparseBytes | None = None) -> None:
        self._blocks: dict[int, bytes] = {}
        self._parent = parent

    @property
    def stored_bytes(self) -> int:
        """Bytes of its own blocks, without the parent's."""
        return len(self._blocks) * BLOCK_BYTES

    def frozen(self) -> SparseBytes:
        """Return a copy of the current content; immutable blocks are shared."""
        copy = SparseBytes(self._parent)
        copy._blocks = dict(self._blocks)
        return copy

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`."""
        return b"".join(self._block(index)[start:end] for index, start, end in _spans(offset, length))

    def write(self, offset: int, data: bytes) -> None:
        """Overwrite from `offset` on."""
        done = 0
        for index, start, end in _spans(offset, len(data)):
            old, new = self._block(index), data[done : done + end - start]
            self._blocks[index] = old[:start] + new + old[end:]
            done += end - start

    def _block(self, index: int) -> bytes:
        own = self._blocks.get(index)
        if own is not None:
            return own
        return self._parent._block(index) if self._parent else _ZEROS


def _spans(offset: int, length: int) -> Iterator[tuple[int, int, int]]:
    end = offset + length
    while offset < end:
        index, start = divmod(offset, BLOCK_BYTES)
        stop = min(BLOCK_BYTES, start + end - offset)
        yield index, start, stop
        offset += stop - start
