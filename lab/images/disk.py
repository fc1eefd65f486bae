"""A BIOS disk put together in memory order: master boot record, GRUB's core behind it, then partitions.

GRUB's boot.img loads sector 1 and its core image goes on from sector 2 unless told otherwise, so that a core written
right behind the boot record starts without grub-bios-setup, a loop device or a mount.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.images.errors import ImageError
from lab.images.run import run

SECTOR = 512
MIB = 1024 * 1024
GRUB_FOLDER = Path("/usr/lib/grub/i386-pc")
CODE_BYTES = 440  # the boot code ends where the disk signature starts
TABLE_OFFSET = 446
FIRST_PARTITION = MIB


@dataclass(frozen=True)
class Partition:
    """A primary partition; offset and size are in bytes and whole sectors."""

    offset_bytes: int
    size_bytes: int
    kind: int  # 0x83 Linux, 0xda data that belongs to no file system
    active: bool = False


def grub_core(config: str, modules: Sequence[str], *, folder: Path) -> bytes:
    """GRUB's core image with `config` and `modules` built in."""
    script, core = folder / "grub-early.cfg", folder / "core.img"
    script.write_text(config)
    run(
        [
            "grub-mkimage",
            "--format=i386-pc",
            "--prefix=(hd0,msdos1)/boot/grub",
            f"--config={script}",
            f"--output={core}",
            *modules,
        ],
        why="GRUB's core image cannot be made",
    )
    return core.read_bytes()


def boot_area(core: bytes, partitions: Sequence[Partition], *, signature: int) -> bytes:
    """The first bytes of the disk: boot record with its partition table, and the core image behind it.

    Raises ImageError when the core does not fit before the first partition.
    """
    boot = bytearray((GRUB_FOLDER / "boot.img").read_bytes())
    table = b"".join(_table_entry(partition) for partition in partitions)
    boot[CODE_BYTES:] = struct.pack("<IH", signature, 0) + table.ljust(64, b"\0") + b"\x55\xaa"
    if SECTOR + len(core) > FIRST_PARTITION:
        raise ImageError(f"GRUB's core image of {len(core)} bytes does not fit before the first partition.")
    return bytes(boot) + core


def _table_entry(partition: Partition) -> bytes:
    no_chs = b"\xfe\xff\xff"  # cylinders are unused: every reader takes the sector numbers
    flag = b"\x80" if partition.active else b"\0"
    first, count = partition.offset_bytes // SECTOR, partition.size_bytes // SECTOR
    return flag + no_chs + bytes([partition.kind]) + no_chs + struct.pack("<II", first, count)


def sectors(data: bytes) -> int:
    """How many sectors `data` fills."""
    return -(-len(data) // SECTOR)


def make_ext4(image: Path, partition: Partition, *, label: str, content: Path | None = None) -> None:
    """Format `partition` inside the file `image`, filled from the folder `content`, owners and devices included."""
    filled: list[str | Path] = ["-d", content] if content else []
    # Without two features newer than the GRUB and e2fsck that meet this disk.
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-O", "^orphan_file,^metadata_csum_seed", "-m", "1", *filled,
         "-E", f"offset={partition.offset_bytes},lazy_itable_init=0,lazy_journal_init=0",
         image, f"{partition.size_bytes // 1024}k"], why=f"The file system {label} cannot be made")  # fmt: skip
