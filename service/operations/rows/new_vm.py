"""What a VM is asked to be, as frozen values: what the API hands to create_vm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Start = Literal["running", "paused", "stopped"]


@dataclass(frozen=True, slots=True)
class NewDisk:
    """A disk: a clone of `image`, or blank. `size_bytes` None means the image's, `pool` None the usual one, `bus` None
    the one that fits the VM. `name` is for people; None: made from the VM's."""

    size_bytes: int | None = None
    image: str | None = None
    pool: str | None = None
    bus: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NewDrive:
    """A CD-ROM drive with an ISO image in it, or empty."""

    image: str | None = None
    bus: str | None = None


@dataclass(frozen=True, slots=True)
class NewVm:
    """`root.size_bytes` None means the flavor's; `network` None the only one; `user` None the image's.

    `cloud_init` None: a seed where the image reads one, or where there is something to tell.
    """

    name: str
    flavor: str
    root: NewDisk = field(default_factory=NewDisk)
    disks: tuple[NewDisk, ...] = ()
    drives: tuple[NewDrive, ...] = ()
    boot: tuple[str, ...] = ("disk", "cdrom")
    network: str | None = None
    nic_model: str = "virtio"
    user: str | None = None
    ssh_keys: tuple[str, ...] = ()
    user_data: str | None = None
    cloud_init: bool | None = None
    firmware: str = "bios"
    chipset: str = "q35"
    clock: str = "utc"
    video: str = "vga"
    tags: tuple[str, ...] = ()
    description: str = ""
    placement_groups: tuple[str, ...] = ()
    start: Start = "running"
    placement_algorithm: str | None = None  # for this placement alone; None: what its host groups or the settings say
