"""Volumes: clones of images and blank devices, complete or created again."""

from __future__ import annotations

import rados
import rbd

from storage.ceph import devices, headers
from storage.ceph.cluster import Cluster
from storage.contract import JOB_KEY
from storage.errors import ConflictError
from storage.pieces import check_inside
from storage.refs import ImageRef, VolumeInfo, VolumeRef, is_name

# librbd reads these settings from the device itself. The default cache passes every write on at once, and the next
# write to the same block waits for it: a firmware that writes byte by byte would take minutes to boot.
WRITEBACK = {"conf_rbd_cache_policy": "writeback", "conf_rbd_cache_writethrough_until_flush": "false"}


def clone(cluster: Cluster, image: ImageRef, volume: VolumeRef, *, size_bytes: int, job_id: str) -> None:
    """See Storage.clone."""
    # The image is not checked first, which would take a fifth of the time: a clone starts with its image's size.
    with cluster.doing(f"clone {image} to {volume}"):
        ioctx = cluster.ioctx(volume.pool)
        try:
            _clone(cluster, image, volume)
        except rbd.ImageExists:
            if devices.is_whole(ioctx, volume.name):
                _grow_same(ioctx, image, volume, size_bytes)
                return
            devices.remove(ioctx, volume.name)
            _clone(cluster, image, volume)
        _finish(ioctx, volume, size_bytes, job_id)


def _finish(ioctx: rados.Ioctx, volume: VolumeRef, size_bytes: int, job_id: str) -> None:
    least = headers.size_bytes(ioctx, volume.name)
    if least > size_bytes:
        devices.remove(ioctx, volume.name)
        raise ConflictError(f"{volume} cannot have {size_bytes} bytes: its image has {least}")
    headers.set_metadata(ioctx, volume.name, JOB_KEY, job_id)
    if least < size_bytes:
        with rbd.Image(ioctx, volume.name) as device:
            _grow(device, size_bytes)


def _clone(cluster: Cluster, image: ImageRef, volume: VolumeRef) -> None:
    rbd.RBD().clone(
        cluster.ioctx(image.pool),
        image.name,
        image.snapshot,
        cluster.ioctx(volume.pool),
        volume.name,
        features=devices.FEATURES,
    )


def _grow_same(ioctx: rados.Ioctx, image: ImageRef, volume: VolumeRef, size_bytes: int) -> None:
    with rbd.Image(ioctx, volume.name) as device:
        parent = devices.parent_of(device)
        if parent != (image.pool, image.name, image.snapshot):
            raise ConflictError(f"{volume} is there and no clone of {image}: its parent is {parent}")
        if device.size() > size_bytes:
            raise ConflictError(f"{volume} is there with {device.size()} bytes, more than {size_bytes}")
        _grow(device, size_bytes)


def _grow(device: rbd.Image, size_bytes: int) -> None:
    if device.size() < size_bytes:
        device.resize(size_bytes, allow_shrink=False)


def create_volume(
    cluster: Cluster, volume: VolumeRef, *, size_bytes: int, job_id: str, writeback: bool = False
) -> None:
    """See Storage.create_volume."""
    with cluster.doing(f"create {volume}"):
        ioctx = cluster.ioctx(volume.pool)
        try:
            devices.create(ioctx, volume.name, size_bytes)
        except rbd.ImageExists:
            if devices.is_whole(ioctx, volume.name):
                _refuse_other(ioctx, volume, size_bytes)
                return
            devices.remove(ioctx, volume.name)
            devices.create(ioctx, volume.name, size_bytes)
        with rbd.Image(ioctx, volume.name) as device:
            if writeback:
                for key, value in WRITEBACK.items():
                    device.metadata_set(key, value)
            device.metadata_set(JOB_KEY, job_id)  # last: it marks the device as complete


def _refuse_other(ioctx: rados.Ioctx, volume: VolumeRef, size_bytes: int) -> None:
    with rbd.Image(ioctx, volume.name, read_only=True) as device:
        if devices.parent_of(device):
            raise ConflictError(f"{volume} is there and a clone")
        if device.size() != size_bytes:
            raise ConflictError(f"{volume} is there with {device.size()} bytes, not {size_bytes}")


def grow(cluster: Cluster, volume: VolumeRef, *, size_bytes: int) -> None:
    """See Storage.grow_volume. A guest that has it open lends the lock for as long as that takes."""
    with cluster.doing(f"grow {volume}"), rbd.Image(cluster.ioctx(volume.pool), volume.name) as device:
        if device.size() > size_bytes:
            raise ConflictError(f"{volume} has {device.size()} bytes, more than {size_bytes}")
        _grow(device, size_bytes)


def write(cluster: Cluster, volume: VolumeRef, data: bytes, *, offset: int) -> None:
    """See Storage.write."""
    with cluster.doing(f"write {volume}"), rbd.Image(cluster.ioctx(volume.pool), volume.name) as device:
        check_inside(offset, len(data), size_bytes=device.size(), what=str(volume))
        device.write(data, offset)
        device.flush()


def read(cluster: Cluster, volume: VolumeRef, *, offset: int, length: int) -> bytes:
    """See Storage.read."""
    with (
        cluster.doing(f"read {volume}"),
        rbd.Image(cluster.ioctx(volume.pool), volume.name, read_only=True) as device,
    ):
        check_inside(offset, length, size_bytes=device.size(), what=str(volume))
        return bytes(device.read(offset, length))


def look(cluster: Cluster, volume: VolumeRef) -> VolumeInfo | None:
    """See Storage.volume. Opened read-only, so that it adds no watcher."""
    with cluster.doing(f"look at {volume}"):
        try:
            with rbd.Image(cluster.ioctx(volume.pool), volume.name, read_only=True) as device:
                return _info(device, volume)
        except rbd.ImageNotFound:
            return None


def _info(device: rbd.Image, volume: VolumeRef) -> VolumeInfo:
    parent = devices.parent_of(device)
    return VolumeInfo(
        ref=volume,
        size_bytes=int(device.size()),
        parent=ImageRef(*parent) if parent else None,
        watchers=tuple(sorted(watcher["addr"] for watcher in device.watchers_list())),
        metadata=tuple(sorted(device.metadata_list())),
    )


def names(cluster: Cluster, pool: str) -> tuple[VolumeRef, ...]:
    """See Storage.volumes. Reads the pool's directory; skips names that no ref allows."""
    with cluster.doing(f"list pool {pool}"):
        found = sorted(rbd.RBD().list(cluster.ioctx(pool)))
    return tuple(VolumeRef(pool, name) for name in found if is_name(name))


def remove(cluster: Cluster, volume: VolumeRef) -> None:
    """See Storage.remove_volume."""
    with cluster.doing(f"remove {volume}"):
        devices.remove(cluster.ioctx(volume.pool), volume.name)
