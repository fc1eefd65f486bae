"""PNG of a screen's pixels, and conversion of QEMU's PPM screenshots.

Sources: PNG (RFC 2083), netpbm's ppm(5).
"""

from __future__ import annotations

import re
import struct
import zlib

from service.hypervisor.errors import DomainRefusedError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB_8_BIT = struct.pack(">BBBBB", 8, 2, 0, 0, 0)  # bit depth, colour type, compression, filter, interlace
_PPM = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")


def png(width: int, height: int, rgb: bytes) -> bytes:
    """Return a PNG; `rgb` has width * height * 3 bytes, row by row from the top."""
    row = width * 3
    rows = b"".join(b"\0" + rgb[start : start + row] for start in range(0, height * row, row))  # 0: no filter
    header = struct.pack(">II", width, height) + _RGB_8_BIT
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def png_of_ppm(ppm: bytes) -> bytes:
    """Return a binary PPM of 8 bits per colour as a PNG; a PNG is returned unchanged.

    Raises DomainRefusedError for anything else.
    """
    if ppm.startswith(_SIGNATURE):
        return ppm
    header = _PPM.match(ppm)
    if header is None:
        raise DomainRefusedError("the hypervisor's screenshot is neither PPM nor PNG")
    width, height = int(header[1]), int(header[2])
    rgb = ppm[header.end() :]
    if len(rgb) != width * height * 3:
        raise DomainRefusedError(f"the hypervisor's screenshot has {len(rgb)} bytes, not {width} x {height} pixels")
    return png(width, height, rgb)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
