"""The pure parts below the backends: an image's pieces, sparse bytes, names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import ConflictError
from storage.pieces import PIECE_BYTES, nonzero_pieces
from storage.refs import ImageRef, VolumeRef, is_name
from storage.sparse import BLOCK_BYTES, SparseBytes

SIZE = 2 * PIECE_BYTES + 17
EDGES = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES]
chunks_of_an_image = st.lists(
    st.tuples(st.sampled_from(EDGES), st.sampled_from([b"", b"\0", b"x", b"\0\0y\0", bytes(16), b"z" * 16]))
)
writes = st.lists(st.tuples(st.integers(0, 3 * BLOCK_BYTES), st.binary(max_size=64)), max_size=20)


def filled(pieces: list[tuple[int, bytes]]) -> bytes:
    content = bytearray(SIZE)
    for offset, data in pieces:
        content[offset : offset + len(data)] = data
    return bytes(content)


@given(chunks_of_an_image)
def test_pieces_hold_what_rising_chunks_hold(chunks: list[tuple[int, bytes]]) -> None:
    rising = sorted({offset: data for offset, data in chunks}.items())
    apart = [(at, data) for at, data in rising if not any(at < other < at + len(data) for other, _ in rising)]
    pieces = list(nonzero_pieces(apart, size_bytes=SIZE, what="image", progress=lambda _: None))
    assert filled(pieces) == filled(apart)


@given(st.integers(0, PIECE_BYTES), st.integers(0, PIECE_BYTES + 17))
def test_no_piece_crosses_an_object_boundary_or_is_all_zeros(offset: int, length: int) -> None:
    pieces = nonzero_pieces([(offset, b"x" * length)], size_bytes=SIZE, what="image", progress=lambda _: None)
    for start, piece in pieces:
        assert piece.strip(b"\0")
        assert start // PIECE_BYTES == (start + len(piece) - 1) // PIECE_BYTES


@pytest.mark.parametrize(("offset", "length"), [(SIZE, 1), (SIZE - 1, 2), (-1, 1)])
def test_a_chunk_outside_the_image_is_a_conflict(offset: int, length: int) -> None:
    with pytest.raises(ConflictError):
        list(nonzero_pieces([(offset, b"x" * length)], size_bytes=SIZE, what="image", progress=lambda _: None))


@given(writes, writes)
def test_sparse_bytes_are_bytes(below: list[tuple[int, bytes]], above: list[tuple[int, bytes]]) -> None:
    length = 4 * BLOCK_BYTES
    model, parent = bytearray(length), SparseBytes()
    for offset, data in below:
        model[offset : offset + len(data)] = data
        parent.write(offset, data)
    golden, child = bytes(model), SparseBytes(parent.frozen())
    for offset, data in above:
        model[offset : offset + len(data)] = data
        child.write(offset, data)
    assert child.read(0, length) == bytes(model)
    assert parent.read(0, length) == golden


def test_a_frozen_copy_does_not_follow_later_writes() -> None:
    content = SparseBytes()
    content.write(0, b"before")
    frozen = content.frozen()
    content.write(0, b"after!")
    assert frozen.read(0, 6) == b"before"


def test_only_written_blocks_are_stored() -> None:
    content = SparseBytes()
    content.write(1 << 40, b"far away")
    assert content.stored_bytes == BLOCK_BYTES


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "new\nline", "nul\0", "\ud800", "\u200b"])
def test_a_name_that_cannot_be_written_down_makes_no_ref(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="cannot be the name"):
        VolumeRef("vms", name)
    with pytest.raises(ValueError, match="cannot be the name"):
        ImageRef(name or "", "image")


@given(st.text(min_size=1).filter(is_name), st.text(min_size=1).filter(is_name))
def test_the_text_of_a_ref_comes_apart_again(pool: str, name: str) -> None:
    image = ImageRef(pool, name)
    there, snapshot = str(image).split("@")
    assert ImageRef(*there.split("/"), snapshot) == image
