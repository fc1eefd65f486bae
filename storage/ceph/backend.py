"""The storage contract on a Ceph cluster."""

from __future__ import annotations

from collections.abc import Iterable

from storage.ceph import facts, hosts, images, pool_check, volumes
from storage.ceph.cluster import Cluster, Timeouts
from storage.contract import Progress
from storage.facts import HostStorage, OsdFacts, PoolFacts, StorageHealth
from storage.refs import Attachment, HostRef, ImageRef, Rbd, VolumeInfo, VolumeRef


class CephStorage:
    """Storage on Ceph RBD, connected at the first call.

    `client_name` is the full cephx name ("client.nacre"); see storage.ceph.cluster for the capabilities it needs.
    `secret_uuid` is that of the libvirt secret which holds, on every host, the key of the host's own cephx user.
    """

    def __init__(
        self,
        conf_path: str,
        keyring_path: str,
        client_name: str,
        *,
        secret_uuid: str = "",
        timeouts: Timeouts | None = None,
    ) -> None:
        self._secret_uuid = secret_uuid
        self._cluster = Cluster(conf_path, keyring_path, client_name, timeouts or Timeouts())

    def health(self) -> StorageHealth:
        """See Storage.health."""
        return facts.health(self._cluster.ask)

    def pools(self) -> tuple[PoolFacts, ...]:
        """See Storage.pools."""
        return facts.pools(self._cluster.ask)

    def check_pool(self, name: str) -> None:
        """See Storage.check_pool."""
        pool_check.check(self._cluster, name)

    def osds(self) -> tuple[OsdFacts, ...]:
        """See Storage.osds. Raises UnreachableError when no manager daemon is up."""
        return facts.osds(self._cluster.ask)

    def hosts(self, osds: tuple[OsdFacts, ...]) -> tuple[HostStorage, ...]:
        """See Storage.hosts. Raises UnreachableError when no manager has the counters."""
        return hosts.hosts(self._cluster.ask, osds)

    def import_image(
        self, image: ImageRef, chunks: Iterable[tuple[int, bytes]], *, size_bytes: int, progress: Progress
    ) -> None:
        """See Storage.import_image."""
        images.import_image(self._cluster, image, chunks, size_bytes=size_bytes, progress=progress)

    def remove_image(self, image: ImageRef) -> None:
        """See Storage.remove_image."""
        images.remove_image(self._cluster, image)

    def image_size(self, image: ImageRef) -> int | None:
        """See Storage.image_size."""
        return images.image_size(self._cluster, image)

    def clone(self, image: ImageRef, volume: VolumeRef, *, size_bytes: int, job_id: str) -> None:
        """See Storage.clone."""
        volumes.clone(self._cluster, image, volume, size_bytes=size_bytes, job_id=job_id)

    def create_volume(self, volume: VolumeRef, *, size_bytes: int, job_id: str, writeback: bool = False) -> None:
        """See Storage.create_volume."""
        volumes.create_volume(self._cluster, volume, size_bytes=size_bytes, job_id=job_id, writeback=writeback)

    def grow_volume(self, volume: VolumeRef, *, size_bytes: int) -> None:
        """See Storage.grow_volume."""
        volumes.grow(self._cluster, volume, size_bytes=size_bytes)

    def write(self, volume: VolumeRef, data: bytes, *, offset: int = 0) -> None:
        """See Storage.write."""
        volumes.write(self._cluster, volume, data, offset=offset)

    def read(self, volume: VolumeRef, *, offset: int, length: int) -> bytes:
        """See Storage.read."""
        return volumes.read(self._cluster, volume, offset=offset, length=length)

    def volume(self, volume: VolumeRef) -> VolumeInfo | None:
        """See Storage.volume."""
        return volumes.look(self._cluster, volume)

    def volumes(self, pool: str) -> tuple[VolumeRef, ...]:
        """See Storage.volumes."""
        return volumes.names(self._cluster, pool)

    def remove_volume(self, volume: VolumeRef) -> None:
        """See Storage.remove_volume."""
        volumes.remove(self._cluster, volume)

    def attachment(self, volume: VolumeRef, host: HostRef) -> Attachment:
        """See Storage.attachment."""
        return Rbd(volume.pool, volume.name, user=host.user, secret_uuid=self._secret_uuid)

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        self._cluster.close()
