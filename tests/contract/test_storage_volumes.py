"""What storage.contract promises of volumes, on every backend."""

from __future__ import annotations

import pytest

from storage.contract import JOB_KEY, Storage
from storage.errors import BusyError, ConflictError, NotFoundError
from storage.refs import HostRef, ImageRef, VolumeRef
from tests.contract.storage_fixtures import MIB, SIZE, Backend, Names, import_blank

# Blank volumes, reading and writing


def test_a_blank_volume_reads_as_zeros(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    assert storage.read(names.volume(), offset=0, length=SIZE) == bytes(SIZE)


def test_a_blank_volume_has_no_parent_and_tells_its_job(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job-1")
    info = storage.volume(names.volume())
    assert info is not None
    assert (info.size_bytes, info.parent, info.metadata) == (SIZE, None, ((JOB_KEY, "job-1"),))


def test_creating_a_volume_again_keeps_the_first_and_its_data(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job-1")
    storage.write(names.volume(), b"kept", offset=100)
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job-2")
    info = storage.volume(names.volume())
    assert info is not None
    assert info.metadata == ((JOB_KEY, "job-1"),)
    assert storage.read(names.volume(), offset=100, length=4) == b"kept"


def test_creating_a_volume_of_another_size_is_a_conflict(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    with pytest.raises(ConflictError):
        storage.create_volume(names.volume(), size_bytes=2 * SIZE, job_id="job")


def test_creating_a_volume_over_a_clone_is_a_conflict(storage: Storage, names: Names, golden: ImageRef) -> None:
    storage.clone(golden, names.volume(), size_bytes=SIZE, job_id="job")
    with pytest.raises(ConflictError):
        storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")


def test_a_grown_volume_keeps_its_data_and_has_zeros_behind_it(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    storage.write(names.volume(), b"kept", offset=SIZE - 4)
    storage.grow_volume(names.volume(), size_bytes=2 * SIZE)
    assert storage.read(names.volume(), offset=SIZE - 4, length=8) == b"kept" + bytes(4)
    assert storage.volume(names.volume()).size_bytes == 2 * SIZE


def test_growing_again_to_the_same_size_is_done(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    storage.grow_volume(names.volume(), size_bytes=SIZE)
    assert storage.volume(names.volume()).size_bytes == SIZE


def test_a_volume_is_never_shrunk(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=2 * SIZE, job_id="job")
    with pytest.raises(ConflictError):
        storage.grow_volume(names.volume(), size_bytes=SIZE)
    assert storage.volume(names.volume()).size_bytes == 2 * SIZE


def test_a_volume_that_is_open_elsewhere_grows(backend: Backend, storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    with backend.hold(names.volume()):
        storage.grow_volume(names.volume(), size_bytes=2 * SIZE)
    assert storage.volume(names.volume()).size_bytes == 2 * SIZE


def test_growing_a_missing_volume_is_not_found(storage: Storage, names: Names) -> None:
    with pytest.raises(NotFoundError):
        storage.grow_volume(names.volume(), size_bytes=SIZE)


def test_what_was_written_is_read(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    storage.write(names.volume(), b"seed", offset=4 * MIB - 2)
    assert storage.read(names.volume(), offset=4 * MIB - 4, length=8) == b"\0\0seed\0\0"


@pytest.mark.parametrize("offset", [SIZE - 1, SIZE, -1])
def test_reading_and_writing_past_an_end_is_a_conflict(storage: Storage, names: Names, offset: int) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    with pytest.raises(ConflictError):
        storage.write(names.volume(), b"xx", offset=offset)
    with pytest.raises(ConflictError):
        storage.read(names.volume(), offset=offset, length=2)


def test_reading_and_writing_a_missing_volume_is_not_found(storage: Storage, names: Names) -> None:
    with pytest.raises(NotFoundError):
        storage.write(names.volume(), b"x")
    with pytest.raises(NotFoundError):
        storage.read(names.volume(), offset=0, length=1)


# Looking and removing


def test_a_missing_volume_is_none(storage: Storage, names: Names) -> None:
    assert storage.volume(names.volume()) is None


def test_whoever_has_a_volume_open_is_a_watcher(backend: Backend, names: Names) -> None:
    backend.storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    with backend.hold(names.volume()):
        held = backend.storage.volume(names.volume())
    after = backend.storage.volume(names.volume())
    assert held is not None
    assert after is not None
    assert (len(held.watchers), after.watchers) == (1, ())


def test_volumes_are_listed_by_name(storage: Storage, names: Names) -> None:
    made = [names.volume(name) for name in ("c", "a", "b")]
    for volume in made:
        storage.create_volume(volume, size_bytes=SIZE, job_id="job")
    assert [ref for ref in storage.volumes("vms") if ref in made] == sorted(made, key=str)


def test_a_removed_volume_is_gone(storage: Storage, names: Names) -> None:
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    storage.remove_volume(names.volume())
    assert storage.volume(names.volume()) is None
    assert names.volume() not in storage.volumes("vms")


def test_removing_a_missing_volume_is_silent(storage: Storage, names: Names) -> None:
    volume = names.volume()
    storage.remove_volume(volume)
    assert storage.volume(volume) is None


def test_removing_an_open_volume_is_busy_until_it_is_closed(backend: Backend, names: Names) -> None:
    backend.storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    with backend.hold(names.volume()), pytest.raises(BusyError):
        backend.storage.remove_volume(names.volume())
    backend.storage.remove_volume(names.volume())
    assert backend.storage.volume(names.volume()) is None


def test_removing_an_image_as_a_volume_is_busy(storage: Storage, names: Names) -> None:
    image = import_blank(storage, names.image())
    with pytest.raises(BusyError):
        storage.remove_volume(VolumeRef(image.pool, image.name))
    assert storage.image_size(image) == SIZE


@pytest.mark.parametrize(
    "odd", ["with space", "ünï-cödé-磁碟", "'\"<b>$(id)`;|&", "back\\slash:colon=equals,comma", "%s{}.. -", "x" * 120]
)
def test_odd_names_are_only_names(storage: Storage, names: Names, odd: str) -> None:
    image, volume = import_blank(storage, names.image(odd)), names.volume(odd)
    storage.clone(image, volume, size_bytes=SIZE, job_id=odd)
    info = storage.volume(volume)
    assert info is not None
    assert (info.parent, info.metadata) == (image, ((JOB_KEY, odd),))
    assert volume in storage.volumes("vms")
    storage.remove_volume(volume)
    assert storage.volume(volume) is None


# Attachments


def test_how_a_host_opens_a_volume_follows_from_the_names(storage: Storage, names: Names) -> None:
    host = HostRef("host1", user="host-host1")
    before = storage.attachment(names.volume(), host)
    storage.create_volume(names.volume(), size_bytes=SIZE, job_id="job")
    assert storage.attachment(names.volume(), host) == before
    assert storage.attachment(names.volume("other"), host) != before
