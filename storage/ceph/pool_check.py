"""Check of a pool by using it, independent of versions and capabilities."""

from __future__ import annotations

import rados
import rbd

from storage.ceph import devices
from storage.ceph.cluster import Cluster

ORIGIN, CLONE, SNAPSHOT = "nacre-check", "nacre-check-clone", "golden"
SIZE_BYTES = 4 << 20


def check(cluster: Cluster, pool: str) -> None:
    """See Storage.check_pool. Leftovers of an earlier check are removed first."""
    with cluster.doing(f"check pool {pool}"):
        ioctx = cluster.ioctx(pool)
        _remove(ioctx)
        try:
            _make(ioctx)
        finally:
            _remove(ioctx)


def _make(ioctx: rados.Ioctx) -> None:
    devices.create(ioctx, ORIGIN, SIZE_BYTES)
    with rbd.Image(ioctx, ORIGIN) as device:
        device.write(b"nacre", 0)
        device.create_snap(SNAPSHOT)
    # Of an unprotected snapshot: only clone format 2 allows it.
    rbd.RBD().clone(ioctx, ORIGIN, SNAPSHOT, ioctx, CLONE, features=devices.FEATURES)


def _remove(ioctx: rados.Ioctx) -> None:
    devices.remove(ioctx, CLONE)
    if ORIGIN in rbd.RBD().list(ioctx):
        with rbd.Image(ioctx, ORIGIN) as device:
            for snapshot in list(device.list_snaps()):
                device.remove_snap(snapshot["name"])
        devices.remove(ioctx, ORIGIN)
