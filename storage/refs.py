"""Names of things in the storage: small frozen values that every backend understands and that serialise as text."""

from __future__ import annotations

from dataclasses import dataclass

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
    rbd_name: str

    def __post_init__(self) -> None:
        _checked("pool", self.pool)
        _checked("volume", self.rbd_name)

    def __str__(self) -> str:
        return f"{self.pool}/{self.rbd_name}"


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A finished image: the block device and its one golden snapshot, from which every clone is made.

    ValueError on an impossible name.
    """

    pool: str
    rbd_name: str
    snapshot: str = GOLDEN_SNAPSHOT

    def __post_init__(self) -> None:
        _checked("pool", self.pool)
        _checked("image", self.rbd_name)
        _checked("snapshot", self.snapshot)

    def __str__(self) -> str:
        return f"{self.pool}/{self.rbd_name}@{self.snapshot}"


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """What a look at a volume tells. `parent` is None for a blank or flattened volume."""

    ref: VolumeRef
    size_bytes: int
    parent: ImageRef | None
    watchers: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...] = ()
