"""Reads and writes of a device's header without opening the device.

Opening takes a dozen round trips. librbd stores a device's header in the object `rbd_header.<id>` and the id in
`rbd_id.<name>`; the OSDs' class `rbd` reads and changes it (ceph/src/cls/rbd). All numbers are little-endian, a text is
its length and its bytes.
"""

from __future__ import annotations

import struct

import rados

_WORD = struct.Struct("<I")
_SIZE = struct.Struct("<BQ")  # the order of the objects' size, and the device's size in bytes
_HEAD = struct.pack("<Q", (1 << 64) - 2)  # CEPH_NOSNAP: not a snapshot's size
_LONGEST_ANSWER = 64


def size_bytes(ioctx: rados.Ioctx, rbd_name: str) -> int:
    """Return the device's size. Raises rados.ObjectNotFound."""
    _, answer = ioctx.execute(_header(ioctx, rbd_name), "rbd", "get_size", _HEAD, _LONGEST_ANSWER)
    _, size = _SIZE.unpack_from(answer)
    return int(size)


def set_metadata(ioctx: rados.Ioctx, rbd_name: str, key: str, value: str) -> None:
    """Set metadata as rbd.Image.metadata_set() does. Raises rados.ObjectNotFound."""
    pairs = _WORD.pack(1) + _text(key.encode()) + _text(value.encode())
    ioctx.execute(_header(ioctx, rbd_name), "rbd", "metadata_set", pairs)


def _header(ioctx: rados.Ioctx, rbd_name: str) -> str:
    content = ioctx.read(f"rbd_id.{rbd_name}")
    (length,) = _WORD.unpack_from(content)
    return f"rbd_header.{content[_WORD.size : _WORD.size + length].decode()}"


def _text(raw: bytes) -> bytes:
    return _WORD.pack(len(raw)) + raw
