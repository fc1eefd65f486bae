"""Names of things in the storage: small frozen values that every backend understands and that serialise as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

GOLDEN_SNAPSHOT = "golden"


def is_name(text: str) -> bool:
    """Whether a ref can hold it: "/" and "@" separate a ref's parts; what does not print cannot be typed again."""
    return bool(text) and text.isprintable() and "/" not in text and "@" not in text


def _checked(what: str, name: str) -> None:
    if not is_name(name):
        raise ValueError(f"{name!r} cannot be the name of a {what}: it must print and hold neither '/' nor '@'")


@dataclass(frozen=True, slots=True)
class VolumeRef:
    """A block device of a guest, or of the control plane's own making (a seed). ValueError on an impossible name."""

    pool: str
    name: str

    def __post_init__(self) -> None:
        _checked("pool", self.pool)
        _checked("volume", self.name)

    def __str__(self) -> str:
        return f"{self.pool}/{self.name}"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A finished image: the block device and its one golden snapshot, from which every clone is made.

    ValueError on an impossible name.
    """

    pool: str
    name: str
    snapshot: str = GOLDEN_SNAPSHOT

    def __post_init__(self) -> None:
        _checked("pool", self.pool)
        _checked("image", self.name)
        _checked("snapshot", self.snapshot)

    def __str__(self) -> str:
        return f"{self.pool}/{self.name}@{self.snapshot}"


@dataclass(frozen=True, slots=True)
class HostRef:
    """A host that opens block devices: its name, and the storage's user for it ("" where the storage has no users)."""

    name: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class Rbd:
    """A Ceph RBD image, opened by the host with `conf_path`, as cephx `user` with the key in a libvirt secret."""

    kind: ClassVar[str] = "rbd"
    disk_type: ClassVar[str] = "network"

    pool: str
    name: str
    user: str  # without the "client." prefix
    secret_uuid: str
    conf_path: str = "/etc/ceph/ceph.conf"


@dataclass(frozen=True, slots=True)
class File:
    """A raw file in a folder of the host."""

    kind: ClassVar[str] = "file"
    disk_type: ClassVar[str] = "file"

    path: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block device of the host: an LVM logical volume or a LUN."""

    kind: ClassVar[str] = "block"
    disk_type: ClassVar[str] = "block"

    path: str


# How a host opens a volume. `kind` names the macro in templates/domain/source.xml.j2 that writes it; `disk_type` is the
# type that libvirt gives a disk with such a source.
Attachment = Rbd | File | Block


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """What a look at a volume tells. `parent` is None for a blank or flattened volume."""

    ref: VolumeRef
    size_bytes: int
    parent: ImageRef | None
    watchers: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...] = ()
