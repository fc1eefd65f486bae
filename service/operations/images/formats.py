"""Inspection of an image file before any tool opens it.

The format must be the declared one, and the file must name no other: a qcow2 may name a backing file or a data file
on the server, which qemu-img would open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oslo_utils.imageutils import format_inspector

from service.errors import InvalidError
from service.json_types import JsonObject

# QEMU needs whole sectors.
SECTOR_BYTES = 4096
# Every format that qemu-img supports is recognised by this much of the file's beginning.
HEADER_BYTES = 4 << 20
# The inspector's names of formats without a container: a hybrid image is both.
PLAIN = frozenset({"raw", "gpt", "iso"})
MAGIC = {
    "gz": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\0",
    "bz2": b"BZh",
    "zst": b"\x28\xb5\x2f\xfd",
}
UNSAFE = {
    "backing_file": ("image.backing_file", "it has a backing file"),
    "data_file": ("image.data_file", "it keeps its data in another file"),
}


def check_compression(path: Path, declared: str) -> None:
    """Check the file's compression against the declared one.

    Raises InvalidError (`image.wrong_format`).
    """
    with path.open("rb") as file:
        head = file.read(8)
    found = next((name for name, magic in MAGIC.items() if head.startswith(magic)), "none")
    if found != declared:
        detail = f"The file was declared with compression '{declared}' but has '{found}': declare that."
        raise InvalidError(detail, code="image.wrong_format")


def inspect(path: Path, declared: str, *, max_bytes: int) -> int:
    """Return the image's virtual size in bytes, in whole sectors.

    Raises InvalidError (`image.*`) when it is unsafe, too large or not as declared.
    """
    found = _formats(path)
    size = path.stat().st_size
    if declared == "qcow2":
        _check_is(declared, set(found))
        _check_safe(found[declared])
        size = found[declared].virtual_size
    else:
        _check_plain(declared, set(found))
    size = -(-size // SECTOR_BYTES) * SECTOR_BYTES
    if not 0 < size <= max_bytes:
        detail = f"The disk would have {size} bytes; 1 to {max_bytes} are allowed."
        raise InvalidError(detail, code="image.too_large")
    return size


def _formats(path: Path) -> JsonObject:
    with path.open("rb") as file:
        wrapper = format_inspector.InspectWrapper(file)
        while file.tell() < HEADER_BYTES and wrapper.read(1 << 16):
            pass
        wrapper.close()
    return {inspector.NAME: inspector for inspector in wrapper.formats or ()}


def _check_plain(declared: str, found: set[str]) -> None:
    """Check a format without a container; a hybrid ISO may be declared as either."""
    if not found <= PLAIN:
        _check_is(declared, found)
    if declared == "iso":
        _check_is(declared, found & {"iso"} or {"raw"})


def _check_is(declared: str, found: set[str]) -> None:
    if found != {declared}:
        names = " and ".join(sorted(found)) or "nothing known"
        detail = f"The file was declared {declared} but is {names}: declare that."
        raise InvalidError(detail, code="image.wrong_format")


def _check_safe(inspector: Any) -> None:
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as failure:
        code, why = UNSAFE.get(next(iter(failure.failures)), ("image.unsafe", str(failure)))
        detail = f"The image is not safe to open: {why}. Make a standalone one with 'qemu-img convert -O qcow2'."
        raise InvalidError(detail, code=code) from failure
    except format_inspector.ImageFormatError as failure:
        raise InvalidError(f"The file is not a readable image: {failure}.", code="image.unreadable") from failure
