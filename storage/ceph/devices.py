"""What images and volumes share: the features of a block device, and how a half-made one is told and cleared away."""

from __future__ import annotations

import rados
import rbd

from storage.ceph import watches
from storage.contract import JOB_KEY
from storage.errors import ConflictError

# Explicit, whatever the cluster's default: krbd-only clusters leave some out, and fast-diff needs object-map.
FEATURES = (
    rbd.RBD_FEATURE_LAYERING
    | rbd.RBD_FEATURE_EXCLUSIVE_LOCK
    | rbd.RBD_FEATURE_OBJECT_MAP
    | rbd.RBD_FEATURE_FAST_DIFF
    | rbd.RBD_FEATURE_DEEP_FLATTEN
)


def create(ioctx: rados.Ioctx, rbd_name: str, size_bytes: int) -> None:
    """Make a blank device. rbd.ImageExists when the name is taken, by a half-made one too."""
    rbd.RBD().create(ioctx, rbd_name, size_bytes, old_format=False, features=FEATURES)


def is_whole(ioctx: rados.Ioctx, rbd_name: str) -> bool:
    """Whether the device was made to its end; False for what a death in the middle of making it left behind.

    librbd makes a device in several writes (directory, id, header, parent, the parent's list of children), and a
    clone cut off among them may look complete while its parent does not know it. So only the job's mark counts.
    """
    try:
        with rbd.Image(ioctx, rbd_name, read_only=True) as device:
            if JOB_KEY in dict(device.metadata_list()):
                return True
            if _has_data(device) or any(True for _ in device.list_snaps()):
                raise ConflictError(f"{rbd_name} holds data of somebody else")
    except rbd.ImageNotFound:  # a directory entry without a header
        return False
    return False


def remove(ioctx: rados.Ioctx, rbd_name: str) -> None:
    """Remove a device, half-made too; silent when it is not there. rbd.ImageBusy: try again, for 30 s at least."""
    try:
        rbd.RBD().remove(ioctx, rbd_name)
    except rbd.ImageNotFound:
        return
    except rbd.ImageBusy:
        watches.let_dead_ones_expire(ioctx, rbd_name)
        raise


def parent_of(device: rbd.Image) -> tuple[str, str, str] | None:
    """(pool, image, snapshot) of a clone."""
    try:
        pool, image, snapshot = device.parent_info()
    except rbd.ImageNotFound:
        return None
    return str(pool), str(image), str(snapshot)


def _has_data(device: rbd.Image) -> bool:
    extents: list[int] = []
    device.diff_iterate(0, device.size(), None, lambda offset, *_: extents.append(offset), include_parent=False)
    return bool(extents)
