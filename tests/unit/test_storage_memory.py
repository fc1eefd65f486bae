"""The switches of the memory backend; what it promises as a storage is in tests/contract."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from storage.errors import NotFoundError, UnreachableError
from storage.facts import OsdFacts
from storage.memory import MemoryStorage
from storage.refs import ImageRef, VolumeRef

IMAGE, VOLUME = ImageRef("images", "mini"), VolumeRef("vms", "vm-1-0")


def test_a_storage_that_answers_again_has_lost_nothing() -> None:
    storage = MemoryStorage()
    storage.create_volume(VOLUME, size_bytes=100, job_id="job")
    storage.set_reachable(False)
    with pytest.raises(UnreachableError):
        storage.remove_volume(VOLUME)
    storage.set_reachable(True)
    assert storage.volumes("vms") == (VOLUME,)


def test_an_import_that_loses_the_storage_leaves_no_image() -> None:
    storage = MemoryStorage()

    def chunks() -> Iterator[tuple[int, bytes]]:
        yield 0, b"data"
        storage.set_reachable(False)

    with pytest.raises(UnreachableError):
        storage.import_image(IMAGE, chunks(), size_bytes=100, progress=lambda _: None)
    storage.set_reachable(True)
    assert storage.image_size(IMAGE) is None


def test_a_holder_is_a_watcher_by_its_address() -> None:
    storage = MemoryStorage()
    storage.create_volume(VOLUME, size_bytes=100, job_id="job")
    with storage.hold(VOLUME, "10.80.0.12:0/7"):
        info = storage.volume(VOLUME)
    assert info is not None
    assert info.watchers == ("10.80.0.12:0/7",)


def test_nobody_holds_a_missing_volume() -> None:
    with pytest.raises(NotFoundError), MemoryStorage().hold(VOLUME):
        pass


def test_osds_are_what_they_were_set_to() -> None:
    storage, osds = MemoryStorage(), (OsdFacts(0, "host1", True, True, 1.0, None, 10, 100),)
    storage.set_osds(osds)
    assert storage.osds() == osds


def test_written_data_takes_from_the_free_room() -> None:
    storage = MemoryStorage(capacity_bytes=1 << 20)
    storage.create_volume(VOLUME, size_bytes=1 << 20, job_id="job")
    storage.write(VOLUME, b"data")
    (vms,) = (pool for pool in storage.pools() if pool.name == "vms")
    assert vms.stored_bytes + vms.free_bytes == 1 << 20
    assert vms.stored_bytes > 0


def test_a_full_pool_is_told_by_health_and_pools() -> None:
    storage = MemoryStorage()
    storage.set_full("vms", True)
    assert storage.health().status == "HEALTH_WARN"
    assert [(pool.name, pool.full) for pool in storage.pools()] == [("images", False), ("vms", True)]


def test_one_of_many_threads_makes_the_volume() -> None:
    storage, start = MemoryStorage(), threading.Barrier(8)

    def create(job_id: str) -> None:
        start.wait()
        storage.create_volume(VOLUME, size_bytes=100, job_id=job_id)

    threads = [threading.Thread(target=create, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.volumes("vms") == (VOLUME,)
