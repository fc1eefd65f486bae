"""Unpacking of an image file in the sandbox: compression, then container.

Holes stay holes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from service.errors import InvalidError, NacreError
from service.operations.images import files
from service.operations.images.formats import SECTOR_BYTES
from service.sandbox import INPUT, OUTPUT, Limits, ProgramFailedError, SandboxError, running

DECOMPRESSORS = {
    "gz": ("/usr/bin/gzip", "-dc"),
    "xz": ("/usr/bin/xz", "-dc", "-T1"),
    "bz2": ("/usr/bin/bzip2", "-dc"),
    "zst": ("/usr/bin/zstd", "-dcq", "--memory=2048MB"),
}
QEMU_IMG = "/usr/bin/qemu-img"
CHECK_GOOD, CHECK_LEAKS = 0, 3  # statuses of qemu-img check; leaks only waste space
KILLED, OUT_OF_TIME, TOO_MUCH_WRITTEN = 128 + 9, 128 + 24, 128 + 25  # statuses of signals KILL, XCPU, XFSZ
# A file that grows more than any real disk is a bomb: zeros compressed by zstd grow some 30000-fold.
MOST_GROWTH = 50_000
GROWTH_FREE_BYTES = 64 << 20
BLOCK_BYTES = 64 << 10
ZEROS = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of unpacking. `look` is called regularly; it raises to end the work."""

    max_bytes: int
    timeout_s: float
    monotonic: Callable[[], float]
    look: Callable[[], None]


def decompress(source: Path, compression: str, target: Path, bounds: Bounds) -> int:
    """Decompress `source` into `target`; return the bytes.

    Raises NacreError (`image.damaged`, `image.bomb` …).
    """
    files.empty(target)
    most = min(bounds.max_bytes, MOST_GROWTH * source.stat().st_size + GROWTH_FREE_BYTES)
    limits = Limits(output_bytes=SECTOR_BYTES, cpu_s=int(bounds.timeout_s))
    out_of_time = _alarm(bounds)
    with (
        _translated("image.damaged"),
        running(DECOMPRESSORS[compression], limits, reads=source) as program,
        target.open("r+b") as file,
        files.room(),
    ):
        sparse = _Sparse(file)
        for data in program.output():
            sparse.write(data)
            if sparse.size_bytes > most:
                raise _grows(bounds, sparse.size_bytes)
            out_of_time()
        return sparse.finish()


def convert(source: Path, target: Path, size_bytes: int, bounds: Bounds) -> None:
    """Write the disk inside a qcow2 to `target`.

    inspect() must have accepted the file. Raises NacreError (`image.*`).
    """
    out_of_time = _alarm(bounds)
    limits = Limits(output_bytes=size_bytes, cpu_s=int(bounds.timeout_s))
    # convert reads the missing part of a truncated file as zeros without an error: only check detects that.
    check = (QEMU_IMG, "check", "-q", "-f", "qcow2", INPUT)
    with _translated("image.damaged"), running(check, limits, reads=source, good=(CHECK_GOOD, CHECK_LEAKS)) as program:
        for _ in program.wait():
            out_of_time()
    files.empty(target, size_bytes)
    most = MOST_GROWTH * source.stat().st_size + GROWTH_FREE_BYTES
    line = (QEMU_IMG, "convert", "-n", "--target-is-zero", "-f", "qcow2", "-O", "raw", INPUT, OUTPUT)
    with _translated("image.unreadable"), running(line, limits, reads=source, writes=target) as program:
        for _ in program.wait():
            out_of_time()
            if files.allocated_bytes(target) > most:
                raise _grows(bounds, most)


def _alarm(bounds: Bounds) -> Callable[[], None]:
    deadline = bounds.monotonic() + bounds.timeout_s

    def look() -> None:
        bounds.look()
        if bounds.monotonic() > deadline:
            raise _too_slow(bounds.timeout_s)

    return look


class _Sparse:
    """Writer of a stream to a file in blocks; blocks of zeros become holes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.size_bytes = 0
        self._file = file
        self._rest = b""

    def write(self, data: bytes) -> None:
        self.size_bytes += len(data)
        data = self._rest + data
        whole = len(data) // BLOCK_BYTES * BLOCK_BYTES
        for start in range(0, whole, BLOCK_BYTES):
            self._block(data[start : start + BLOCK_BYTES])
        self._rest = data[whole:]

    def finish(self) -> int:
        self._file.write(self._rest)
        self._file.truncate(self.size_bytes)
        return self.size_bytes

    def _block(self, block: bytes) -> None:
        if block == ZEROS:
            self._file.seek(BLOCK_BYTES, 1)
        else:
            self._file.write(block)


@contextmanager
def _translated(failed: str) -> Iterator[None]:
    """Translate the end of a program to an error; `failed` is the code of a failure."""
    try:
        yield
    except SandboxError as failure:
        detail = f"The server cannot create a sandbox to unpack in: {failure}. The operator must install bubblewrap."
        raise NacreError(detail, code="image.no_sandbox") from failure
    except ProgramFailedError as failure:
        if failure.status in (KILLED, OUT_OF_TIME):
            raise _too_slow(None) from failure
        if failure.status == TOO_MUCH_WRITTEN:
            raise NacreError(
                "The image has more data than it declares: make it again.", code="image.too_large"
            ) from failure
        raise NacreError(f"The image is damaged or truncated: {failure.complaint}", code=failed) from failure


def _grows(bounds: Bounds, size_bytes: int) -> InvalidError:
    if size_bytes > bounds.max_bytes:
        detail = f"Unpacked the image has more than the allowed {bounds.max_bytes} bytes."
        return InvalidError(detail, code="image.too_large")
    return InvalidError(
        f"Unpacked the image grows more than {MOST_GROWTH}-fold: send it uncompressed.", code="image.bomb"
    )


def _too_slow(timeout_s: float | None) -> NacreError:
    so_long = f" over {timeout_s:.0f} s" if timeout_s else " too much time"
    return NacreError(f"The image took{so_long} to unpack: send it as raw.", code="image.too_slow")
