"""Takes an image file apart, in the sandbox: its compression, then its container. Holes stay holes all the way."""

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
CHECK_GOOD, CHECK_LEAKS = 0, 3  # leaks only waste space
KILLED, OUT_OF_TIME, TOO_MUCH_WRITTEN = 128 + 9, 128 + 24, 128 + 25  # statuses of signals KILL, XCPU, XFSZ
# A bomb is what grows more than any disk that people really pack: zeros by zstd come to some 1:30000.
MOST_GROWTH = 50_000
GROWTH_FREE_BYTES = 64 << 20
BLOCK_BYTES = 64 << 10
ZEROS = bytes(BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What unpacking may use. `look` is called every so often: it raises when the work shall end."""

    max_bytes: int
    timeout_s: float
    monotonic: Callable[[], float]
    look: Callable[[], None]


def decompress(source: Path, compression: str, target: Path, bounds: Bounds) -> int:
    """Unpack `source` into `target`; returns the bytes. Raises NacreError (`image.damaged`, `image.bomb` …)."""
    files.empty(target)
    most = min(bounds.max_bytes, MOST_GROWTH * source.stat().st_size + GROWTH_FREE_BYTES)
    limits = Limits(output_bytes=SECTOR_BYTES, cpu_s=int(bounds.timeout_s))
    out_of_time = _alarm(bounds)
    with (
        _told("image.damaged"),
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
    """Write the disk inside a qcow2 that inspect() let through to `target`. Raises NacreError (`image.*`)."""
    out_of_time = _alarm(bounds)
    limits = Limits(output_bytes=size_bytes, cpu_s=int(bounds.timeout_s))
    # convert reads what is missing from a cut file as zeros, without a word: only check tells.
    check = (QEMU_IMG, "check", "-q", "-f", "qcow2", INPUT)
    with _told("image.damaged"), running(check, limits, reads=source, good=(CHECK_GOOD, CHECK_LEAKS)) as program:
        for _ in program.wait():
            out_of_time()
    files.empty(target, size_bytes)
    most = MOST_GROWTH * source.stat().st_size + GROWTH_FREE_BYTES
    line = (QEMU_IMG, "convert", "-n", "--target-is-zero", "-f", "qcow2", "-O", "raw", INPUT, OUTPUT)
    with _told("image.unreadable"), running(line, limits, reads=source, writes=target) as program:
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
    """Writes a stream to a file, block by block; blocks of zeros become holes."""

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
def _told(failed: str) -> Iterator[None]:
    """How a program ended, as an error of ours; `failed` is the code for what it says itself."""
    try:
        yield
    except SandboxError as failure:
        told = f"The server cannot make a sandbox to unpack in: {failure}. Its operator installs bubblewrap."
        raise NacreError(told, code="image.no_sandbox") from failure
    except ProgramFailedError as failure:
        if failure.status in (KILLED, OUT_OF_TIME):
            raise _too_slow(None) from failure
        if failure.status == TOO_MUCH_WRITTEN:
            raise NacreError("The image holds more than it says.", code="image.too_large") from failure
        raise NacreError(f"The image is damaged or cut short: {failure.complaint}", code=failed) from failure


def _grows(bounds: Bounds, size_bytes: int) -> InvalidError:
    if size_bytes > bounds.max_bytes:
        told = f"Unpacked it has over {bounds.max_bytes} bytes, which are allowed."
        return InvalidError(told, code="image.too_large")
    return InvalidError(f"Unpacked it grows more than {MOST_GROWTH}-fold: send it less packed.", code="image.bomb")


def _too_slow(timeout_s: float | None) -> NacreError:
    so_long = f" over {timeout_s:.0f} s" if timeout_s else " too much time"
    return NacreError(f"The image took{so_long} to unpack: send it as raw.", code="image.too_slow")
