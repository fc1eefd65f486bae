"""What storage.contract promises of images and their clones, on every backend."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.contract import JOB_KEY, Storage
from storage.errors import BusyError, ConflictError, NotFoundError
from storage.refs import ImageRef, VolumeRef
from tests.contract.storage_fixtures import MIB, SIZE, Backend, Names, ignore, import_blank


class DiedError(Exception):
    """Stands for a process that stopped in the middle."""


def dies_after(*chunks: tuple[int, bytes]) -> Iterator[tuple[int, bytes]]:
    yield from chunks
    raise DiedError


# Images


def test_an_imported_image_has_its_size(storage: Storage, names: Names) -> None:
    image = import_blank(storage, names.image(), size_bytes=SIZE)
    assert storage.image_size(image) == SIZE


def test_an_image_that_was_never_imported_has_no_size(storage: Storage, names: Names) -> None:
    assert storage.image_size(names.image()) is None


def test_an_import_stores_exactly_the_bytes(storage: Storage, names: Names) -> None:
    image, volume = names.image(), names.volume()
    # Unaligned, across an object boundary, and up to the very last byte.
    pieces = [(0, b"start"), (4 * MIB - 3, b"across"), (6 * MIB, b"\0" * 5 + b"tail"), (SIZE - 1, b"!")]
    storage.import_image(image, pieces, size_bytes=SIZE, progress=ignore)
    storage.clone(image, volume, size_bytes=SIZE, job_id="job")
    expected = bytearray(SIZE)
    for offset, data in pieces:
        expected[offset : offset + len(data)] = data
    assert storage.read(volume, offset=0, length=SIZE) == bytes(expected)


def test_a_large_import_in_one_chunk_stores_exactly_the_bytes(storage: Storage, names: Names) -> None:
    image, volume = names.image(), names.volume()
    data = random.Random(1).randbytes(48 * MIB)
    storage.import_image(image, [(0, data)], size_bytes=len(data), progress=ignore)
    storage.clone(image, volume, size_bytes=len(data), job_id="job")
    assert storage.read(volume, offset=0, length=len(data)) == data


def test_zeros_in_an_import_cost_nothing(backend: Backend, names: Names) -> None:
    image = names.image()
    chunks = [(0, bytes(4 * MIB)), (4 * MIB, b"x"), (8 * MIB, bytes(24 * MIB))]
    backend.storage.import_image(image, chunks, size_bytes=32 * MIB, progress=ignore)
    assert 0 < backend.stored_bytes(image) <= 4 * MIB


def test_progress_rises_to_the_size(storage: Storage, names: Names) -> None:
    seen: list[int] = []
    chunks = [(0, b"a" * MIB), (MIB, bytes(MIB)), (4 * MIB, b"b")]
    storage.import_image(names.image(), chunks, size_bytes=SIZE, progress=seen.append)
    assert seen == [MIB, 2 * MIB, 4 * MIB + 1, SIZE]


def test_importing_a_finished_image_again_reads_no_chunk(storage: Storage, names: Names) -> None:
    image = import_blank(storage, names.image(), size_bytes=SIZE)
    storage.import_image(image, dies_after(), size_bytes=SIZE, progress=ignore)
    assert storage.image_size(image) == SIZE


def test_importing_over_a_finished_image_of_another_size_is_a_conflict(storage: Storage, names: Names) -> None:
    image = import_blank(storage, names.image(), size_bytes=SIZE)
    with pytest.raises(ConflictError):
        storage.import_image(image, [], size_bytes=2 * SIZE, progress=ignore)


def test_importing_over_a_volume_is_a_conflict(storage: Storage, names: Names) -> None:
    volume = names.volume(pool="images")
    storage.create_volume(volume, size_bytes=SIZE, job_id="job")
    with pytest.raises(ConflictError):
        import_blank(storage, ImageRef(volume.pool, volume.name))
    assert storage.volume(volume) is not None


def test_data_past_the_end_of_an_image_is_a_conflict(storage: Storage, names: Names) -> None:
    image = names.image()
    with pytest.raises(ConflictError):
        storage.import_image(image, [(SIZE - 1, b"xx")], size_bytes=SIZE, progress=ignore)
    assert storage.image_size(image) is None


def test_a_half_filled_image_is_no_image(storage: Storage, names: Names) -> None:
    image = names.image()
    with pytest.raises(DiedError):
        storage.import_image(image, dies_after((0, b"half")), size_bytes=SIZE, progress=ignore)
    assert storage.image_size(image) is None
    with pytest.raises(NotFoundError):
        storage.clone(image, names.volume(), size_bytes=SIZE, job_id="job")


def test_a_half_filled_image_is_begun_anew(storage: Storage, names: Names) -> None:
    image, volume = names.image(), names.volume()
    with pytest.raises(DiedError):
        storage.import_image(image, dies_after((0, b"old"), (MIB, b"old")), size_bytes=2 * SIZE, progress=ignore)
    import_blank(storage, image, size_bytes=SIZE, data=b"new")
    storage.clone(image, volume, size_bytes=SIZE, job_id="job")
    assert storage.read(volume, offset=0, length=SIZE) == b"new" + bytes(SIZE - 3)


def test_a_second_import_of_a_running_one_is_busy(storage: Storage, names: Names) -> None:
    image = names.image()

    def chunks() -> Iterator[tuple[int, bytes]]:
        yield 0, b"first"
        with pytest.raises(BusyError):
            import_blank(storage, image, size_bytes=SIZE)

    storage.import_image(image, chunks(), size_bytes=SIZE, progress=ignore)
    assert storage.image_size(image) == SIZE


def test_a_removed_image_is_gone(storage: Storage, names: Names) -> None:
    image = import_blank(storage, names.image())
    storage.remove_image(image)
    assert storage.image_size(image) is None
    assert VolumeRef(image.pool, image.name) not in storage.volumes(image.pool)


def test_a_half_filled_image_can_be_removed(storage: Storage, names: Names) -> None:
    image = names.image()
    with pytest.raises(DiedError):
        storage.import_image(image, dies_after((0, b"half")), size_bytes=SIZE, progress=ignore)
    storage.remove_image(image)
    assert VolumeRef(image.pool, image.name) not in storage.volumes(image.pool)


def test_removing_a_missing_image_is_silent(storage: Storage, names: Names) -> None:
    image = names.image()
    storage.remove_image(image)
    assert storage.image_size(image) is None


def test_an_image_with_clones_is_busy_and_stays_whole(storage: Storage, names: Names) -> None:
    image = import_blank(storage, names.image())
    storage.clone(image, names.volume("one"), size_bytes=SIZE, job_id="job")
    with pytest.raises(BusyError):
        storage.remove_image(image)
    storage.clone(image, names.volume("two"), size_bytes=SIZE, job_id="job")
    storage.remove_volume(names.volume("one"))
    storage.remove_volume(names.volume("two"))
    storage.remove_image(image)
    assert storage.image_size(image) is None


def test_an_image_that_is_open_is_busy_and_stays_whole(backend: Backend, names: Names) -> None:
    image = import_blank(backend.storage, names.image())
    with backend.hold(VolumeRef(image.pool, image.name)), pytest.raises(BusyError):
        backend.storage.remove_image(image)
    assert backend.storage.image_size(image) == SIZE


# Clones


def test_a_clone_is_grown(storage: Storage, names: Names, golden: ImageRef) -> None:
    volume = names.volume()
    storage.clone(golden, volume, size_bytes=4 * SIZE, job_id="job")
    info = storage.volume(volume)
    assert info is not None
    assert info.size_bytes == 4 * SIZE
    assert storage.read(volume, offset=SIZE, length=SIZE) == bytes(SIZE)


def test_a_clone_tells_its_parent_and_its_job(storage: Storage, names: Names, golden: ImageRef) -> None:
    volume = names.volume()
    storage.clone(golden, volume, size_bytes=SIZE, job_id="job-1")
    info = storage.volume(volume)
    assert info is not None
    assert (info.ref, info.parent, info.watchers, info.metadata) == (volume, golden, (), ((JOB_KEY, "job-1"),))


def test_a_second_clone_of_the_same_name_is_the_first(storage: Storage, names: Names, golden: ImageRef) -> None:
    volume = names.volume()
    storage.clone(golden, volume, size_bytes=SIZE, job_id="job-1")
    storage.write(volume, b"mine")
    before = storage.volume(volume)
    storage.clone(golden, volume, size_bytes=SIZE, job_id="job-2")
    assert storage.volume(volume) == before
    assert storage.read(volume, offset=0, length=6) == b"mineen"


def test_a_clone_that_was_not_grown_yet_is_grown_by_the_next_call(
    storage: Storage, names: Names, golden: ImageRef
) -> None:
    volume = names.volume()
    storage.clone(golden, volume, size_bytes=SIZE, job_id="job")
    storage.clone(golden, volume, size_bytes=3 * SIZE, job_id="job")
    info = storage.volume(volume)
    assert info is not None
    assert info.size_bytes == 3 * SIZE


def test_a_clone_is_never_shrunk(storage: Storage, names: Names, golden: ImageRef) -> None:
    volume = names.volume()
    storage.clone(golden, volume, size_bytes=3 * SIZE, job_id="job")
    with pytest.raises(ConflictError):
        storage.clone(golden, volume, size_bytes=2 * SIZE, job_id="job")


def test_a_clone_smaller_than_its_image_is_a_conflict_and_leaves_nothing(
    storage: Storage, names: Names, golden: ImageRef
) -> None:
    volume = names.volume()
    with pytest.raises(ConflictError):
        storage.clone(golden, volume, size_bytes=SIZE - 1, job_id="job")
    assert storage.volume(volume) is None


def test_a_clone_of_another_image_under_the_same_name_is_a_conflict(storage: Storage, names: Names) -> None:
    one, two = import_blank(storage, names.image("one")), import_blank(storage, names.image("two"))
    storage.clone(one, names.volume(), size_bytes=SIZE, job_id="job")
    with pytest.raises(ConflictError):
        storage.clone(two, names.volume(), size_bytes=SIZE, job_id="job")


def test_a_clone_over_a_blank_volume_is_a_conflict(storage: Storage, names: Names, golden: ImageRef) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    with pytest.raises(ConflictError):
        storage.clone(golden, names.volume(), size_bytes=SIZE, job_id="job")


def test_a_clone_over_an_image_is_a_conflict(storage: Storage, names: Names) -> None:
    one, two = import_blank(storage, names.image("one")), import_blank(storage, names.image("two"))
    with pytest.raises(ConflictError):
        storage.clone(one, VolumeRef(two.pool, two.name), size_bytes=SIZE, job_id="job")
    assert storage.image_size(two) == SIZE


def test_a_clone_of_a_missing_image_is_not_found(storage: Storage, names: Names) -> None:
    with pytest.raises(NotFoundError):
        storage.clone(names.image(), names.volume(), size_bytes=SIZE, job_id="job")


def test_writing_to_a_clone_changes_neither_image_nor_sister(storage: Storage, names: Names, golden: ImageRef) -> None:
    one, two, later = names.volume("one"), names.volume("two"), names.volume("later")
    storage.clone(golden, one, size_bytes=SIZE, job_id="job")
    storage.clone(golden, two, size_bytes=SIZE, job_id="job")
    storage.write(one, b"G")
    storage.clone(golden, later, size_bytes=SIZE, job_id="job")
    assert [storage.read(each, offset=0, length=6) for each in (one, two, later)] == [b"Golden", b"golden", b"golden"]


def test_clones_from_many_threads_are_all_made(storage: Storage, names: Names, golden: ImageRef) -> None:
    volumes = [names.volume(f"v{number}") for number in range(12)]
    with ThreadPoolExecutor(4) as threads:
        made = [threads.submit(storage.clone, golden, ref, size_bytes=SIZE, job_id="job") for ref in volumes]
        assert [each.result() for each in made] == [None] * 12
    assert set(volumes) <= set(storage.volumes("vms"))
