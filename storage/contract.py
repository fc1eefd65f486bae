"""Contract of storage backends; its suite is in tests/contract.

Every call may be repeated: it is idempotent by name, so after a crash the caller calls again. Every call ends within
the backend's deadline, with UnreachableError if the cluster did not respond. A missing pool is a NotFoundError, a pool
that the backend's user may not use a DeniedError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from storage.facts import HostStorage, OsdFacts, PoolFacts, StorageHealth
from storage.refs import Attachment, HostRef, ImageRef, VolumeInfo, VolumeRef

Progress = Callable[[int], None]

# Metadata key: the job that created a volume. Written when the volume is complete; without it, the volume is not.
JOB_KEY = "nacre.job"


class Storage(Protocol):
    """Volumes and images of one storage cluster."""

    def health(self) -> StorageHealth:
        """Return the health that the cluster reports."""

    def pools(self) -> tuple[PoolFacts, ...]:
        """Return every pool for block devices, sorted by name."""

    def check_pool(self, name: str) -> None:
        """Test a pool: create, write, snapshot, clone and remove an image; leaves nothing.

        Raises the error of the step that failed: NotFoundError, DeniedError, FullError, StorageError, UnreachableError.
        """

    def osds(self) -> tuple[OsdFacts, ...]:
        """Return every OSD with its host, sorted by number."""

    def hosts(self, osds: tuple[OsdFacts, ...]) -> tuple[HostStorage, ...]:
        """Return the Ceph load on every host of `osds` (from osds()), sorted by name.

        Sends a few commands to the cluster, however many OSDs it has. Raises UnreachableError if no manager is active.
        """

    def import_image(
        self, image: ImageRef, chunks: Iterable[tuple[int, bytes]], *, size_bytes: int, progress: Progress
    ) -> None:
        """Create an image from (offset, data) chunks and take its golden snapshot.

        Without the snapshot the image does not exist for clone(); an incomplete one after a crash is created again.
        Chunks come in any size and rising order; gaps and zeros cost no space. `progress` gets the offset reached, at
        the end `size_bytes`. A finished image of the same name and size is left alone, its chunks unread.
        Raises ConflictError (another size, the name of a volume, or data past the end), BusyError (another import
        of it is running), FullError, UnreachableError, NotFoundError (pool).
        """

    def remove_image(self, image: ImageRef) -> None:
        """Remove an image; no error if absent. BusyError while clones exist."""

    def image_size(self, image: ImageRef) -> int | None:
        """Return the size in bytes of a complete image, or None."""

    def clone(self, image: ImageRef, volume: VolumeRef, *, size_bytes: int, job_id: str) -> None:
        """Create a copy-on-write clone of the image's golden snapshot of `size_bytes`.

        An existing clone of the same image is grown if needed and counts as done; an incomplete one
        after a crash is created again. The `job_id` that made it is kept in the volume's metadata under JOB_KEY.
        Raises NotFoundError (image), ConflictError (another parent, a larger clone, or `size_bytes` under the
        image's size), BusyError (an incomplete one of a process that ended seconds ago), FullError, UnreachableError.
        """

    def create_volume(self, volume: VolumeRef, *, size_bytes: int, job_id: str, writeback: bool = False) -> None:
        """Create a blank volume; one of the same name and size counts as done.

        Raises ConflictError if another volume or image has the name.

        Raises ConflictError if anything else has the name. Writes wait for the disks until a guest has flushed for
        the first time. Firmware never flushes and writes byte by byte: with `writeback` its writes are cached from
        the first on, and may reach the disks a second late.
        """

    def grow_volume(self, volume: VolumeRef, *, size_bytes: int) -> None:
        """Grow a volume, also an open one; the same size counts as done.

        New bytes are 0. Raises NotFoundError, ConflictError (it is larger already: data is never cut off),
        UnreachableError.
        """

    def write(self, volume: VolumeRef, data: bytes, *, offset: int = 0) -> None:
        """Write and flush `data`.

        Raises NotFoundError, ConflictError (past the end), FullError, UnreachableError.
        """

    def read(self, volume: VolumeRef, *, offset: int, length: int) -> bytes:
        """Return `length` bytes; bytes that were never written are 0.

        Raises NotFoundError, ConflictError (past the end), UnreachableError.
        """

    def volume(self, volume: VolumeRef) -> VolumeInfo | None:
        """Return a volume's size, parent and watchers, or None if it does not exist.

        Watchers are client addresses, without the one of this call.
        """

    def volumes(self, pool: str) -> tuple[VolumeRef, ...]:
        """Return everything in a pool, sorted by name.

        Opens no volume, so that one broken volume does not fail the listing.
        """

    def remove_volume(self, volume: VolumeRef) -> None:
        """Remove a volume; no error if it is absent; works on a full pool.

        Raises BusyError while a client has it open (the watch of a dead client expires after up to 30 s: retry), or
        while it has snapshots.
        """

    def attachment(self, volume: VolumeRef, host: HostRef) -> Attachment:
        """Return how `host` opens the volume.

        Computed from the names alone, without asking the storage; never fails.
        """
