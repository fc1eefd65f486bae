"""The stamped blocks that the small image writes: format, place on the disk, and a reader for the disk's bytes.

Once a second the guest writes one block of BLOCK_BYTES to slot `seq % SLOTS` of a ring that starts RING_OFFSET bytes
into its root disk, and waits until it lies on stable storage. A block is text, padded with zero bytes:

    nacre-stamp 1
    seq=17
    time=1795165264.000123
    boot=0b2f6c4e-…          the kernel's boot id: one per start of the machine
    errors=0                 writes refused since this boot
    text=web                 /run/nacre/text, at first the hostname
    sha256=…                 over everything before this line

A refused write is tried again with the same number, and a new boot goes on after the newest number it finds: so numbers
without a hole mean that no acknowledged write was lost, and boots and times in the order of the numbers mean that no
earlier run of the machine wrote after a later one began.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

BLOCK_BYTES = 4096
SLOTS = 1024
RING_OFFSET = 40 * 1024 * 1024
RING_BYTES = SLOTS * BLOCK_BYTES
MAGIC = b"nacre-stamp 1\n"


@dataclass(frozen=True)
class Stamp:
    """One block as the guest wrote it; time_s is the guest's clock in seconds since 1970."""

    seq: int
    time_s: float
    boot: str
    errors: int
    text: str


class DamagedStampError(Exception):
    """A block begins like a stamp, but its checksum or a field is wrong: torn or overwritten."""


def read_stamps(disk: bytes) -> tuple[Stamp, ...]:
    """Every stamp in the ring, by number; `disk` is the root disk from its first byte to the ring's end or further.

    Raises DamagedStampError for a torn block and ValueError when `disk` ends inside the ring.
    """
    return read_ring(disk[RING_OFFSET : RING_OFFSET + RING_BYTES])


def read_ring(ring: bytes) -> tuple[Stamp, ...]:
    """The same from the ring's own RING_BYTES bytes, for a reader that fetches only those."""
    if len(ring) != RING_BYTES:
        raise ValueError(f"the ring is {RING_BYTES} bytes long, these are {len(ring)}")
    blocks = (ring[start : start + BLOCK_BYTES] for start in range(0, RING_BYTES, BLOCK_BYTES))
    stamps = (parse(block) for block in blocks if any(block))
    return tuple(sorted(stamps, key=lambda stamp: stamp.seq))


def parse(block: bytes) -> Stamp:
    """One block's stamp; raises DamagedStampError."""
    body, mark, rest = block.rstrip(b"\0").rpartition(b"sha256=")
    if not mark or not body.startswith(MAGIC) or rest.strip() != hashlib.sha256(body).hexdigest().encode():
        raise DamagedStampError(f"not a whole stamp: {block[:60]!r}")
    fields = dict(line.split("=", 1) for line in body[len(MAGIC) :].decode(errors="replace").splitlines())
    return Stamp(int(fields["seq"]), float(fields["time"]), fields["boot"], int(fields["errors"]), fields["text"])


def block(stamp: Stamp) -> bytes:
    """What the guest writes for `stamp`: lets a test build a disk."""
    body = (
        MAGIC
        + (
            f"seq={stamp.seq}\ntime={stamp.time_s:.6f}\nboot={stamp.boot}\nerrors={stamp.errors}\ntext={stamp.text}\n"
        ).encode()
    )
    return (body + f"sha256={hashlib.sha256(body).hexdigest()}\n".encode()).ljust(BLOCK_BYTES, b"\0")


def missing(stamps: Sequence[Stamp]) -> tuple[int, ...]:
    """The numbers between the oldest and the newest stamp that are not there."""
    return tuple(gone for a, b in pairwise(stamps) for gone in range(a.seq + 1, b.seq))


def boots(stamps: Sequence[Stamp]) -> tuple[str, ...]:
    """The boot ids in the order of the numbers; one that comes back stands twice."""
    return tuple(boot for boot, _ in groupby(stamp.boot for stamp in stamps))


def late_writes(stamps: Sequence[Stamp]) -> tuple[Stamp, ...]:
    """Stamps made at or after the first one of a boot that began later than their own: an old run that went on writing.

    Times are the guests' clocks, so runs on different hosts are compared as well as those hosts' clocks agree.
    """
    begun: dict[str, float] = {}
    for stamp in stamps:
        begun[stamp.boot] = min(stamp.time_s, begun.get(stamp.boot, stamp.time_s))
    return tuple(
        stamp for stamp in stamps if any(begun[stamp.boot] < start <= stamp.time_s for start in begun.values())
    )
