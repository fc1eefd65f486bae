"""Looks at an image file before anything else does: its format is what was declared, and it names no other file.

A qcow2 may name a backing file or a data file on the server, which qemu-img would open; such a file never reaches it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oslo_utils.imageutils import format_inspector

from service.errors import InvalidError, NacreError

CHUNK_BYTES = 4 << 20
CONVERT_TIMEOUT_S = 3600
CONVERT_MEMORY_BYTES = 2 << 30
CHECK_GOOD, CHECK_LEAKS = 0, 3  # exit statuses; leaks only waste space
# Every format that qemu-img knows shows itself within this much of the file's beginning.
HEADER_BYTES = 4 << 20
# What the inspector calls a file with no container around the disk: a hybrid image is both at once.
PLAIN = frozenset({"raw", "gpt", "iso"})
UNSAFE = {
    "backing_file": ("image.backing_file", "it has a backing file"),
    "data_file": ("image.data_file", "it keeps its data in another file"),
}


def inspect(path: Path, declared: str, *, max_bytes: int) -> int:
    """The image's virtual size in bytes. Raises InvalidError (`image.*`) when it must not be imported."""
    found = _formats(path)
    if declared == "raw":
        _check_is(declared, {"raw"} if set(found) <= PLAIN else set(found))
        size = path.stat().st_size
    else:
        _check_is(declared, set(found))
        _check_safe(found[declared])
        size = found[declared].virtual_size
    if not 0 < size <= max_bytes:
        raise InvalidError(
            f"The disk would have {size} bytes, at most {max_bytes} are allowed.", code="image.too_large"
        )
    return size


def _formats(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        wrapper = format_inspector.InspectWrapper(file)
        while file.tell() < HEADER_BYTES and wrapper.read(1 << 16):
            pass
        wrapper.close()
    return {inspector.NAME: inspector for inspector in wrapper.formats or ()}


def _check_is(declared: str, found: set[str]) -> None:
    if found != {declared}:
        names = " and ".join(sorted(found))
        raise InvalidError(
            f"The file was declared {declared} and is {names}: declare what it is.", code="image.wrong_format"
        )


def _check_safe(inspector: Any) -> None:
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as failure:
        code, why = UNSAFE.get(next(iter(failure.failures)), ("image.unsafe", str(failure)))
        raise InvalidError(
            f"The image is not safe to open: {why}. 'qemu-img convert -O qcow2' makes one that stands alone.", code=code
        ) from failure
    except format_inspector.ImageFormatError as failure:
        raise InvalidError(f"The file is no image that can be read: {failure}.", code="image.unreadable") from failure


def convert_to_raw(source: Path, target: Path) -> None:
    """Unpack a qcow2 that inspect() let through. Raises NacreError (`image.damaged|unreadable|too_slow`)."""
    # convert reads what is missing from a cut file as zeros, without a word: only check tells.
    if _qemu_img("check", "-q", "-f", "qcow2", "--", str(source)).returncode not in (CHECK_GOOD, CHECK_LEAKS):
        raise NacreError("The image is damaged or cut short: 'qemu-img check' tells where.", code="image.damaged")
    done = _qemu_img("convert", "-f", "qcow2", "-O", "raw", "-t", "none", "--", str(source), str(target))
    if done.returncode != 0:
        raise NacreError(f"qemu-img could not read the image: {done.stderr.strip()}", code="image.unreadable")


def _qemu_img(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it with limits on memory and time."""
    limits = ("prlimit", f"--as={CONVERT_MEMORY_BYTES}", f"--cpu={CONVERT_TIMEOUT_S}", "--")
    command = [*limits, "qemu-img", *arguments]
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=CONVERT_TIMEOUT_S)
    except subprocess.TimeoutExpired as failure:
        raise NacreError(f"The image took over {CONVERT_TIMEOUT_S} s to unpack.", code="image.too_slow") from failure


def written_chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, data) of what a raw file really holds; its holes are skipped."""
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


def _next_data(descriptor: int, offset: int) -> int | None:
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError:  # ENXIO: nothing but holes to the end
        return None
