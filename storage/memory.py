"""The storage contract in RAM, for unit tests, demos and simulation.

It is exact in results and errors, and thread-safe. Faults are switched on by `set_reachable`, `set_full`, `hold` (a
client has a volume open), `set_osds`, `set_hosts`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from storage.contract import JOB_KEY, Progress
from storage.errors import BusyError, ConflictError, DeniedError, FullError, NotFoundError, UnreachableError
from storage.facts import HostStorage, OsdFacts, PoolFacts, StorageHealth
from storage.pieces import check_inside, nonzero_pieces
from storage.refs import Attachment, File, HostRef, ImageRef, VolumeInfo, VolumeRef
from storage.sparse import SparseBytes

_REPLICAS = 3
_OSD_MEMORY_MIB = 4096
_SELF = "127.0.0.1:0/1"  # the watcher that an import in progress is


@dataclass(slots=True)
class _Golden:
    """A snapshot: its content and size."""

    content: SparseBytes
    size_bytes: int


@dataclass(slots=True)
class _Device:
    """A block device (an RBD image in Ceph's sense), of an image or a volume."""

    size_bytes: int
    content: SparseBytes = field(default_factory=SparseBytes)
    parent: ImageRef | None = None
    snapshots: dict[str, _Golden] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    watchers: list[str] = field(default_factory=list)


def _as_file(volume: VolumeRef, host: HostRef) -> Attachment:
    del host
    return File(f"/memory/{volume}")


class MemoryStorage:
    """A Storage in this process's memory. `capacity_bytes` is what each pool can take, replication taken off.

    `attach` answers attachment(): by default with a File that is on no disk.
    """

    def __init__(
        self,
        *,
        pools: tuple[str, ...] = ("images", "vms"),
        osds: tuple[OsdFacts, ...] = (),
        capacity_bytes: int = 100 << 30,
        attach: Callable[[VolumeRef, HostRef], Attachment] = _as_file,
    ) -> None:
        self._attach = attach
        self._lock = threading.RLock()
        self._devices: dict[str, dict[str, _Device]] = {pool: {} for pool in pools}
        self._osds = osds
        self._hosts: dict[str, HostStorage] = {}
        self._capacity_bytes = capacity_bytes
        self._full: set[str] = set()
        self._denied: set[str] = set()
        self._reachable = True

    # The world outside.

    def set_reachable(self, reachable: bool) -> None:
        """Set reachability; while unreachable, every call raises UnreachableError."""
        self._reachable = reachable

    def set_full(self, pool: str, full: bool) -> None:
        """Set a pool full or not; a full one takes no new device and no data."""
        with self._lock:
            (self._full.add if full else self._full.discard)(pool)

    def add_pool(self, pool: str, *, denied: bool = False) -> None:
        """Add a pool; `denied`: the control plane's user may not use it."""
        with self._lock:
            self._devices[pool] = {}
            (self._denied.add if denied else self._denied.discard)(pool)

    def drop_pool(self, pool: str) -> None:
        """Remove a pool with its content."""
        with self._lock:
            del self._devices[pool]

    def set_osds(self, osds: tuple[OsdFacts, ...]) -> None:
        """Set the result of osds()."""
        self._osds = osds

    def set_hosts(self, *hosts: HostStorage) -> None:
        """Set the results of hosts() for these hosts, independent of their OSDs."""
        self._hosts = {host.host: host for host in hosts}

    @contextmanager
    def hold(self, volume: VolumeRef, watcher: str = "10.0.0.1:0/1") -> Iterator[None]:
        """Hold the volume open by that watcher during the block. Raises NotFoundError."""
        device = self._device(volume)
        with self._lock:
            device.watchers.append(watcher)
        try:
            yield
        finally:
            with self._lock:
                device.watchers.remove(watcher)

    # Facts.

    def health(self) -> StorageHealth:
        """See Storage.health."""
        self._answer()
        checks = (f"POOL_FULL: {len(self._full)} pool(s) full",) if self._full else ()
        return StorageHealth(status="HEALTH_WARN" if checks else "HEALTH_OK", checks=checks, version="memory")

    def pools(self) -> tuple[PoolFacts, ...]:
        """See Storage.pools."""
        self._answer()
        with self._lock:
            return tuple(self._pool_facts(pool) for pool in sorted(self._devices))

    def check_pool(self, name: str) -> None:
        """See Storage.check_pool."""
        with self._lock:
            self._pool(name)
            if name in self._denied:
                raise DeniedError(f"the user of the storage in memory may not use pool {name}")
            self._make_room(name)

    def _pool_facts(self, pool: str) -> PoolFacts:
        stored = sum(device.content.stored_bytes for device in self._devices[pool].values())
        full = pool in self._full
        free = 0 if full else max(0, self._capacity_bytes - stored)
        return PoolFacts(name=pool, replicas=_REPLICAS, stored_bytes=stored, free_bytes=free, near_full=full, full=full)

    def osds(self) -> tuple[OsdFacts, ...]:
        """See Storage.osds."""
        self._answer()
        return self._osds

    def hosts(self, osds: tuple[OsdFacts, ...]) -> tuple[HostStorage, ...]:
        """See Storage.hosts. No load, all copies local, unless set_hosts() was called."""
        self._answer()
        names = sorted({osd.host for osd in osds if osd.host})
        return tuple(self._hosts.get(name) or self._calm(name, osds) for name in names)

    def _calm(self, name: str, osds: tuple[OsdFacts, ...]) -> HostStorage:
        here = [osd for osd in osds if osd.host == name]
        latencies = [osd.commit_latency_ms for osd in here if osd.commit_latency_ms is not None]
        return HostStorage(
            host=name,
            osds=len(here),
            osds_up=sum(osd.up for osd in here),
            op_latency_ms=max(latencies, default=None),
            slow_ops=0,
            ping_ms=None,
            pgs=len(self._devices),
            pgs_degraded=0,
            pgs_recovering=0,
            local_reads=dict.fromkeys(sorted(self._devices), 1.0),
            osd_memory_mib=len(here) * _OSD_MEMORY_MIB,
        )

    # Images.

    def import_image(
        self, image: ImageRef, chunks: Iterable[tuple[int, bytes]], *, size_bytes: int, progress: Progress
    ) -> None:
        """See Storage.import_image."""
        found = self.image_size(image)
        if found == size_bytes:
            return
        if found is not None:
            raise ConflictError(f"{image} is there with {found} bytes, not {size_bytes}")
        device = self._begin(image, size_bytes)
        try:
            # Not under the lock: the source of the chunks may be slow.
            for offset, piece in nonzero_pieces(chunks, size_bytes=size_bytes, what=str(image), progress=progress):
                with self._lock:
                    self._make_room(image.pool)
                    device.content.write(offset, piece)
            self._answer()
            device.snapshots[image.snapshot] = _Golden(device.content.frozen(), size_bytes)
        finally:
            device.watchers.remove(_SELF)

    def _begin(self, image: ImageRef, size_bytes: int) -> _Device:
        with self._lock:
            pool = self._pool(image.pool)
            there = pool.get(image.name)
            if there and (there.parent or JOB_KEY in there.metadata):
                raise ConflictError(f"{image.pool}/{image.name} is a volume, not an image")
            self._remove(image.pool, image.name)
            return self._add(image.pool, image.name, _Device(size_bytes, watchers=[_SELF]))

    def remove_image(self, image: ImageRef) -> None:
        """See Storage.remove_image."""
        with self._lock:
            device = self._pool(image.pool).get(image.name)
            if device and image.snapshot in device.snapshots:
                clones = sum(each.parent == image for pool in self._devices.values() for each in pool.values())
                if clones or device.watchers:
                    raise BusyError(f"{image} has {clones} clones and is open {len(device.watchers)} times")
                del device.snapshots[image.snapshot]
            self._remove(image.pool, image.name)

    def image_size(self, image: ImageRef) -> int | None:
        """See Storage.image_size."""
        golden = self._golden(image)
        return golden.size_bytes if golden else None

    def _golden(self, image: ImageRef) -> _Golden | None:
        with self._lock:
            device = self._pool(image.pool).get(image.name)
            return device.snapshots.get(image.snapshot) if device else None

    # Volumes.

    def clone(self, image: ImageRef, volume: VolumeRef, *, size_bytes: int, job_id: str) -> None:
        """See Storage.clone."""
        with self._lock:
            golden = self._golden(image)
            if golden is None:
                raise NotFoundError(f"there is no finished image {image}")
            if size_bytes < golden.size_bytes:
                raise ConflictError(f"{volume} cannot have {size_bytes} bytes: {image} has {golden.size_bytes}")
            there = self._pool(volume.pool).get(volume.name)
            if there is None:
                new = _Device(size_bytes, SparseBytes(golden.content), image, metadata={JOB_KEY: job_id})
                self._add(volume.pool, volume.name, new)
            elif there.parent != image or there.size_bytes > size_bytes:
                raise ConflictError(f"{volume} is there: {there.size_bytes} bytes, parent {there.parent}")
            else:
                there.size_bytes = size_bytes

    def create_volume(self, volume: VolumeRef, *, size_bytes: int, job_id: str, writeback: bool = False) -> None:
        """See Storage.create_volume."""
        del writeback  # writes in RAM are immediate
        with self._lock:
            there = self._pool(volume.pool).get(volume.name)
            if there is None:
                self._add(volume.pool, volume.name, _Device(size_bytes, metadata={JOB_KEY: job_id}))
            elif there.parent or there.size_bytes != size_bytes or JOB_KEY not in there.metadata:
                raise ConflictError(f"{volume} is there: {there.size_bytes} bytes, parent {there.parent}")

    def grow_volume(self, volume: VolumeRef, *, size_bytes: int) -> None:
        """See Storage.grow_volume."""
        with self._lock:
            device = self._device(volume)
            if device.size_bytes > size_bytes:
                raise ConflictError(f"{volume} has {device.size_bytes} bytes, more than {size_bytes}")
            device.size_bytes = size_bytes

    def write(self, volume: VolumeRef, data: bytes, *, offset: int = 0) -> None:
        """See Storage.write."""
        with self._lock:
            device = self._device(volume)
            check_inside(offset, len(data), size_bytes=device.size_bytes, what=str(volume))
            self._make_room(volume.pool)
            device.content.write(offset, data)

    def read(self, volume: VolumeRef, *, offset: int, length: int) -> bytes:
        """See Storage.read."""
        with self._lock:
            device = self._device(volume)
            check_inside(offset, length, size_bytes=device.size_bytes, what=str(volume))
            return device.content.read(offset, length)

    def volume(self, volume: VolumeRef) -> VolumeInfo | None:
        """See Storage.volume."""
        with self._lock:
            device = self._pool(volume.pool).get(volume.name)
            if device is None:
                return None
            watchers, metadata = tuple(sorted(device.watchers)), tuple(sorted(device.metadata.items()))
            return VolumeInfo(volume, device.size_bytes, device.parent, watchers, metadata)

    def volumes(self, pool: str) -> tuple[VolumeRef, ...]:
        """See Storage.volumes."""
        with self._lock:
            return tuple(VolumeRef(pool, name) for name in sorted(self._pool(pool)))

    def remove_volume(self, volume: VolumeRef) -> None:
        """See Storage.remove_volume."""
        with self._lock:
            self._pool(volume.pool)
            self._remove(volume.pool, volume.name)

    def attachment(self, volume: VolumeRef, host: HostRef) -> Attachment:
        """See Storage.attachment."""
        return self._attach(volume, host)

    # Under the lock.

    def _answer(self) -> None:
        if not self._reachable:
            raise UnreachableError("no answer from the storage in memory: it is switched off")

    def _pool(self, pool: str) -> dict[str, _Device]:
        self._answer()
        if pool not in self._devices:
            raise NotFoundError(f"there is no pool {pool}")
        return self._devices[pool]

    def _device(self, volume: VolumeRef) -> _Device:
        device = self._pool(volume.pool).get(volume.name)
        if device is None:
            raise NotFoundError(f"there is no volume {volume}")
        return device

    def _make_room(self, pool: str) -> None:
        self._answer()
        if pool in self._full:
            raise FullError(f"pool {pool} is full")

    def _add(self, pool: str, name: str, device: _Device) -> _Device:
        self._make_room(pool)
        return self._devices[pool].setdefault(name, device)

    def _remove(self, pool: str, name: str) -> None:
        device = self._devices[pool].get(name)
        if device and (device.watchers or device.snapshots):
            raise BusyError(f"{pool}/{name} is open {len(device.watchers)} times, {len(device.snapshots)} snapshots")
        self._devices[pool].pop(name, None)
