"""Block devices of images and volumes: features, completeness and removal."""

from __future__ import annotations

import errno

import rados
import rbd

from storage.ceph import watches
from storage.contract import JOB_KEY
from storage.errors import ConflictError, FullError

TRASH = "rbd_trash"
# Explicit, whatever the cluster's default: krbd-only clusters leave some out, and fast-diff needs object-map.
FEATURES = (
    rbd.RBD_FEATURE_LAYERING
    | rbd.RBD_FEATURE_EXCLUSIVE_LOCK
    | rbd.RBD_FEATURE_OBJECT_MAP
    | rbd.RBD_FEATURE_FAST_DIFF
    | rbd.RBD_FEATURE_DEEP_FLATTEN
)


def create(ioctx: rados.Ioctx, rbd_name: str, size_bytes: int) -> None:
    """Create a blank device. Raises rbd.ImageExists, also for an incomplete one."""
    rbd.RBD().create(ioctx, rbd_name, size_bytes, old_format=False, features=FEATURES)


def is_whole(ioctx: rados.Ioctx, rbd_name: str) -> bool:
    """Return True if the device is complete; False for one left by a crash.

    librbd creates a device in several writes (directory, id, header, parent, the parent's list of children), and a
    clone that was interrupted among them may look complete while it is not in its parent's list. So only the job's mark
    counts.
    """
    try:
        with rbd.Image(ioctx, rbd_name, read_only=True) as device:
            if JOB_KEY in dict(device.metadata_list()):
                return True
            if _has_data(device) or any(True for _ in device.list_snaps()):
                raise ConflictError(f"{rbd_name} has data of another origin")
    except rbd.ImageNotFound:  # a directory entry without a header
        return False
    return False


def make_trash(ioctx: rados.Ioctx) -> None:
    """Create the object that librbd needs to remove devices, while there is room.

    librbd creates it at a pool's first removal; if the pool is full by then, every removal fails.
    """
    try:
        ioctx.stat(TRASH)
    except rados.ObjectNotFound:
        try:
            with rados.WriteOpCtx() as operation:
                operation.new(rados.LIBRADOS_CREATE_IDEMPOTENT)
                ioctx.operate_write_op(operation, TRASH)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # full already: only remove() fails then
                raise


def remove(ioctx: rados.Ioctx, rbd_name: str) -> None:
    """Remove a device, complete or not; does nothing if it does not exist.

    Raises rbd.ImageBusy: retry for 30 s at least.
    """
    try:
        rbd.RBD().remove(ioctx, rbd_name)
    except rbd.ImageNotFound as error:
        # librbd raises this also when it could not create the trash: check the pool's directory.
        if rbd_name in rbd.RBD().list(ioctx):
            raise FullError(f"{rbd_name} cannot be removed: its pool is full and has no {TRASH} yet") from error
    except rbd.ImageBusy:
        watches.let_dead_ones_expire(ioctx, rbd_name)
        raise


def parent_of(device: rbd.Image) -> tuple[str, str, str] | None:
    """Return (pool, image, snapshot) of a clone."""
    try:
        pool, image, snapshot = device.parent_info()
    except rbd.ImageNotFound:
        return None
    return str(pool), str(image), str(snapshot)


def _has_data(device: rbd.Image) -> bool:
    extents: list[int] = []
    device.diff_iterate(0, device.size(), None, lambda offset, *_: extents.append(offset), include_parent=False)
    return bool(extents)
