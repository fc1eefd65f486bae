"""A newc cpio archive from memory: owners, set-user-id bits and device nodes without being root or touching a disk.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel.
"""

import stat
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Entry:
    """One name in the archive; everything belongs to root unless `group` says otherwise."""

    path: str
    mode: int
    data: bytes = b""
    group: int = 0
    device: tuple[int, int] = (0, 0)


def folder(path: str, permissions: int = 0o755) -> Entry:
    return Entry(path, stat.S_IFDIR | permissions)


def file(path: str, data: bytes, permissions: int = 0o644, *, group: int = 0) -> Entry:
    return Entry(path, stat.S_IFREG | permissions, data, group)


def link(path: str, target: str) -> Entry:
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: tuple[Entry, ...]) -> bytes:
    """The archive's bytes: missing parent folders are added, and a folder stands before what it holds."""
    named = {entry.path: entry for entry in entries}
    parents = {str(parent) for path in named for parent in PurePosixPath(path).parents if str(parent) != "."}
    for path in parents - set(named):
        named[path] = folder(path)
    ordered = [named[path] for path in sorted(named)]
    body = b"".join(_record(number, entry) for number, entry in enumerate(ordered, start=1))
    return body + _record(0, Entry("TRAILER!!!", 0))


def _record(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, entry.group, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
