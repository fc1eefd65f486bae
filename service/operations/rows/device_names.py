"""Names of disks as the guest's firmware numbers them: a bus's prefix and a letter, each used once per VM."""

from __future__ import annotations

import string
from collections.abc import Collection

from service.errors import ConflictError

PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}
# What a bus can hold: four IDE places, a q35's six SATA ports; beyond that as many disks as a VM may have.
PLACES = {"virtio": 26, "scsi": 26, "sata": 6, "ide": 4}
HOT_PLUGGED = ("virtio", "scsi")


def next_target(bus: str, taken: Collection[str]) -> str:
    """The first free target on a bus. Raises ConflictError (`disk.no_target`) when it is full."""
    letters = string.ascii_lowercase[: PLACES[bus]]
    for letter in letters:
        target = PREFIX[bus] + letter
        if target not in taken:
            return target
    raise ConflictError(f"The {bus} bus holds {len(letters)} disks, all taken: use another bus.", code="disk.no_target")
