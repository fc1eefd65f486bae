"""What storage.contract promises of pools, facts and trouble, on every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.contract import Storage
from storage.errors import FullError, NotFoundError, UnreachableError
from storage.refs import ImageRef, VolumeRef
from tests.contract.storage_fixtures import MIB, SIZE, Backend, Names, import_blank


def test_an_unknown_pool_is_not_found_by_every_verb(storage: Storage, names: Names, golden: ImageRef) -> None:
    image, volume = names.image(pool="nowhere"), names.volume(pool="nowhere")
    calls = [
        lambda: import_blank(storage, image),
        lambda: storage.remove_image(image),
        lambda: storage.image_size(image),
        lambda: storage.clone(image, names.volume(), size_bytes=SIZE, job_id="job"),
        lambda: storage.clone(golden, volume, size_bytes=SIZE, job_id="job"),
        lambda: storage.create_volume(volume, size_bytes=SIZE, job_id="job"),
        lambda: storage.write(volume, b"x"),
        lambda: storage.read(volume, offset=0, length=1),
        lambda: storage.volume(volume),
        lambda: storage.volumes("nowhere"),
        lambda: storage.remove_volume(volume),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call()


def test_a_pool_that_allows_everything_passes_its_check_and_keeps_nothing_of_it(storage: Storage) -> None:
    storage.check_pool("vms")
    storage.check_pool("vms")
    assert [ref.name for ref in storage.volumes("vms") if ref.name in ("nacre-check", "nacre-check-clone")] == []


def test_a_pool_that_is_not_there_fails_its_check(storage: Storage) -> None:
    with pytest.raises(NotFoundError):
        storage.check_pool("nowhere")


def test_the_pools_for_block_devices_are_told_with_their_room(storage: Storage) -> None:
    pools = storage.pools()
    assert {"images", "vms"} <= {pool.name for pool in pools}
    assert all(pool.replicas >= 1 and pool.free_bytes > 0 and not pool.full for pool in pools)


def test_every_host_with_osds_is_told_once_by_name(storage: Storage) -> None:
    osds = storage.osds()
    told = storage.hosts(osds)
    assert [host.host for host in told] == sorted({osd.host for osd in osds})
    assert [host.osds for host in told] == [sum(osd.host == host.host for osd in osds) for host in told]
    assert [host.osds_up for host in told] == [host.osds for host in told]


def test_what_a_host_goes_through_is_a_part_of_what_is_there(storage: Storage) -> None:
    for host in storage.hosts(storage.osds()):
        assert 0 <= host.pgs_degraded <= host.pgs
        assert 0 <= host.pgs_recovering <= host.pgs
        assert host.slow_ops >= 0
        assert host.pgs > 0
        assert host.osd_memory_mib > 0


def test_local_reads_are_shares_of_the_pools_for_block_devices(storage: Storage) -> None:
    pools = {pool.name: pool for pool in storage.pools()}
    for name in ("images", "vms"):
        shares = [host.local_reads.get(name, 0.0) for host in storage.hosts(storage.osds())]
        assert all(0 <= share <= 1 for share in shares)
        assert 0 < sum(shares) <= min(pools[name].replicas, len(shares)) + 0.01  # rounded
    assert all(set(host.local_reads) <= set(pools) for host in storage.hosts(storage.osds()))


def test_hosts_without_osds_are_not_told_of(storage: Storage) -> None:
    assert storage.hosts(()) == ()


def test_health_is_one_of_three_words(storage: Storage) -> None:
    assert storage.health().status in {"HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"}


def test_a_full_pool_takes_nothing_and_gives_back(fillable_backend: Backend, fillable_names: Names) -> None:
    storage, names = fillable_backend.storage, fillable_names
    image = import_blank(storage, names.image())
    storage.clone(image, names.volume("clone"), size_bytes=SIZE, job_id="job")
    storage.create_volume(names.volume("blank"), size_bytes=SIZE, job_id="job")
    storage.write(names.volume("blank"), b"data")
    with fillable_backend.full("vms"):
        with pytest.raises(FullError):
            storage.clone(image, names.volume("new"), size_bytes=SIZE, job_id="job")
        with pytest.raises(FullError):
            storage.create_volume(names.volume("new"), size_bytes=SIZE, job_id="job")
        with pytest.raises(FullError):
            storage.write(names.volume("blank"), b"x" * MIB, offset=4 * MIB)
        assert storage.volume(names.volume("new")) is None
        assert {pool.name: pool.full for pool in storage.pools()}["vms"]
        assert storage.read(names.volume("blank"), offset=0, length=4) == b"data"
        storage.clone(image, names.volume("clone"), size_bytes=SIZE, job_id="job")
        storage.remove_volume(names.volume("clone"))
        storage.remove_volume(names.volume("blank"))
        assert storage.volume(names.volume("clone")) is None
    storage.create_volume(names.volume("new"), size_bytes=SIZE, job_id="job")


def test_a_full_pool_takes_no_image(fillable_backend: Backend, fillable_names: Names) -> None:
    storage, names = fillable_backend.storage, fillable_names
    import_blank(storage, names.image("old"))
    with fillable_backend.full("images"):
        with pytest.raises(FullError):
            import_blank(storage, names.image("new"))
        assert storage.image_size(names.image("new")) is None
        storage.remove_image(names.image("old"))
    import_blank(storage, names.image("new"))


def test_a_silent_storage_is_unreachable_for_every_verb(backend: Backend) -> None:
    silent = backend.unreachable()
    image, volume = ImageRef("images", "image"), VolumeRef("vms", "volume")
    calls = [
        silent.health,
        silent.pools,
        silent.osds,
        lambda: import_blank(silent, image),
        lambda: silent.remove_image(image),
        lambda: silent.image_size(image),
        lambda: silent.clone(image, volume, size_bytes=SIZE, job_id="job"),
        lambda: silent.create_volume(volume, size_bytes=SIZE, job_id="job"),
        lambda: silent.grow_volume(volume, size_bytes=SIZE),
        lambda: silent.write(volume, b"x"),
        lambda: silent.read(volume, offset=0, length=1),
        lambda: silent.volume(volume),
        lambda: silent.volumes("vms"),
        lambda: silent.remove_volume(volume),
    ]
    with ThreadPoolExecutor(len(calls)) as threads:
        for outcome in [threads.submit(call) for call in calls]:
            with pytest.raises(UnreachableError):
                outcome.result()
