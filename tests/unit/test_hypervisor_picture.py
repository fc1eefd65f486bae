from __future__ import annotations

import struct
import zlib

import pytest

from service.hypervisor.errors import DomainRefusedError
from service.hypervisor.picture import png, png_of_ppm

RED, BLUE = b"\xff\0\0", b"\0\0\xff"


def pixels(picture: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and rows of a PNG of unfiltered RGB, every checksum looked at."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, rest = {}, picture[8:]
    while rest:
        size = int.from_bytes(rest[:4], "big")
        kind, data, check, rest = rest[4:8], rest[8 : 8 + size], rest[8 + size : 12 + size], rest[12 + size :]
        assert int.from_bytes(check, "big") == zlib.crc32(kind + data)
        chunks[kind] = data
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 2, 0, 0, 0]
    raw, row = zlib.decompress(chunks[b"IDAT"]), 1 + 3 * width
    return width, height, [raw[start + 1 : start + row] for start in range(0, len(raw), row)]


def test_a_picture_keeps_every_pixel_in_its_place() -> None:
    assert pixels(png(2, 2, RED + BLUE + BLUE + BLUE)) == (2, 2, [RED + BLUE, BLUE + BLUE])


def test_a_ppm_becomes_the_same_picture() -> None:
    assert png_of_ppm(b"P6\n2 1\n255\n" + RED + BLUE) == png(2, 1, RED + BLUE)


def test_a_pixel_that_looks_like_a_space_is_a_pixel() -> None:
    assert pixels(png_of_ppm(b"P6\n1 1\n255\n" + b"\n  ")) == (1, 1, [b"\n  "])


def test_a_png_stays_as_it_is() -> None:
    assert png_of_ppm(png(1, 1, RED)) == png(1, 1, RED)


@pytest.mark.parametrize("data", [b"", b"P5\n1 1\n255\nx", b"P6\n1 1\n65535\n" + RED, b"P6\n2 2\n255\n" + RED])
def test_what_is_no_whole_picture_is_told(data: bytes) -> None:
    with pytest.raises(DomainRefusedError):
        png_of_ppm(data)
