"""What every storage backend promises. The contract suite in tests/contract runs against each of them.

Every call is safe to repeat: it is idempotent by name, so that after a crash "did it happen?" is answered by doing it
again. Every call ends within the backend's deadline, with UnreachableError when there was no answer.
A pool that does not exist is a NotFoundError, one that the backend's user may not use a DeniedError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from storage.facts import HostStorage, OsdFacts, PoolFacts, StorageHealth
from storage.refs import ImageRef, VolumeInfo, VolumeRef

Progress = Callable[[int], None]

# The job that made a volume, in its metadata. Written once the volume is whole: without it, it was left half-made.
JOB_KEY = "nacre.job"


class Storage(Protocol):
    """Volumes and images of one storage cluster."""

    def health(self) -> StorageHealth:
        """The cluster's own verdict of itself."""

    def pools(self) -> tuple[PoolFacts, ...]:
        """Every pool that is meant for block devices, by name."""

    def check_pool(self, name: str) -> None:
        """Try all that volumes and images need of a pool: make, write, snapshot, clone, remove. Leaves nothing.

        Raises what did not work: NotFoundError, DeniedError, FullError, StorageError, UnreachableError.
        """

    def osds(self) -> tuple[OsdFacts, ...]:
        """Every OSD by number, with the host that it runs on."""

    def hosts(self, osds: tuple[OsdFacts, ...]) -> tuple[HostStorage, ...]:
        """What the storage goes through on every host with one of `osds` (as osds() told them), by name.

        A few questions for the whole cluster, however many OSDs it has. UnreachableError when nobody counts just now.
        """

    def import_image(
        self, image: ImageRef, chunks: Iterable[tuple[int, bytes]], *, size_bytes: int, progress: Progress
    ) -> None:
        """Fill a new image from (offset, data) chunks and take its golden snapshot: all or nothing.

        Without the snapshot the image does not exist for clone(); a half-filled one from a crash is begun anew.
        Chunks come in any size and rising order; gaps and zeros cost no space. `progress` gets the offset reached, at
        the end `size_bytes`. A finished image of the same name and size is left alone, its chunks unread.
        Raises ConflictError (another size, the name of a volume, or data past the end), BusyError (another import
        of it is running), FullError, UnreachableError, NotFoundError (pool).
        """

    def remove_image(self, image: ImageRef) -> None:
        """Remove the image, finished or half-filled; silent when it is not there. BusyError while clones live."""

    def image_size(self, image: ImageRef) -> int | None:
        """Size in bytes of a finished image; None when there is none."""

    def clone(self, image: ImageRef, volume: VolumeRef, *, size_bytes: int, job_id: str) -> None:
        """Make a copy-on-write clone of the image's golden snapshot and grow it to `size_bytes`.

        A clone of the same image that is there already is grown where needed and counts as done; a half-made one
        from a crash is begun anew. The `job_id` that made it is kept in the volume's metadata under JOB_KEY.
        Raises NotFoundError (image), ConflictError (another parent, a larger clone, or `size_bytes` under the
        image's size), BusyError (the half-made one of a process that died seconds ago), FullError, UnreachableError.
        """

    def create_volume(self, volume: VolumeRef, *, size_bytes: int, job_id: str, writeback: bool = False) -> None:
        """Make a blank volume; one of the same name and size counts as done. ConflictError on anything else there.

        Writes wait for the disks until a guest has flushed for the first time. Firmware never does and writes byte by
        byte: with `writeback` its writes are cached from the first on, and may be a second late.
        """

    def grow_volume(self, volume: VolumeRef, *, size_bytes: int) -> None:
        """Make a volume larger; one of that size counts as done; open ones too. What is new reads as zeros.

        Raises NotFoundError, ConflictError (it is larger already: nothing is ever cut off), UnreachableError.
        """

    def write(self, volume: VolumeRef, data: bytes, *, offset: int = 0) -> None:
        """Write and flush. Raises NotFoundError, ConflictError (past the end), FullError, UnreachableError."""

    def read(self, volume: VolumeRef, *, offset: int, length: int) -> bytes:
        """Read `length` bytes; what was never written reads as zeros. NotFoundError, ConflictError (past the end)."""

    def volume(self, volume: VolumeRef) -> VolumeInfo | None:
        """Look at one volume; None when it does not exist. Watchers are addresses; the look itself is none of them."""

    def volumes(self, pool: str) -> tuple[VolumeRef, ...]:
        """Everything in a pool by name, sorted. Opens nothing, so one broken volume does not fail the listing."""

    def remove_volume(self, volume: VolumeRef) -> None:
        """Remove a volume; silent when it is not there; works on a full pool.

        BusyError while somebody has it open (a dead client's watch lasts up to 30 s: try again), or while it has
        snapshots.
        """
