"""What only Ceph can get wrong: half-made devices, forks, shared connections. Collected where a cluster is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import rbd

from storage.ceph import devices
from storage.ceph.backend import CephStorage
from storage.ceph.volumes import WRITEBACK
from storage.contract import JOB_KEY
from storage.errors import BusyError, ConflictError, StorageError, UnreachableError
from storage.refs import ImageRef, VolumeRef
from tests.contract.storage_ceph import new_storage, open_pool
from tests.contract.storage_fixtures import MIB, Backend, Names

SIZE = 8 * MIB
on_ceph = pytest.mark.parametrize("backend", ["ceph"], indirect=True, scope="module")


@pytest.fixture
def ceph(backend: Backend) -> CephStorage:
    assert isinstance(backend.storage, CephStorage)
    return backend.storage


def clone_by_hand(image: ImageRef, volume: VolumeRef) -> None:
    """The first of clone()'s writes: what a process that dies right after it leaves behind."""
    with open_pool(image.pool) as images, open_pool(volume.pool) as vms:
        arguments = (images, image.name, image.snapshot, vms, volume.name)
        rbd.RBD().clone(*arguments, features=devices.FEATURES)


@on_ceph
def test_a_clone_has_the_five_features_and_clone_format_2(ceph: CephStorage, names: Names, golden: ImageRef) -> None:
    ceph.clone(golden, names.volume(), size_bytes=SIZE, job_id="job")
    with open_pool("vms") as ioctx, rbd.Image(ioctx, names.volume().name, read_only=True) as device:
        assert device.features() & devices.FEATURES == devices.FEATURES
        assert device.op_features() & rbd.RBD_OPERATION_FEATURE_CLONE_CHILD


@on_ceph
def test_a_clone_that_lacks_the_mark_is_made_again(ceph: CephStorage, names: Names, golden: ImageRef) -> None:
    clone_by_hand(golden, names.volume())
    ceph.clone(golden, names.volume(), size_bytes=2 * SIZE, job_id="job-2")
    info = ceph.volume(names.volume())
    assert info is not None
    assert (info.size_bytes, info.parent, info.metadata) == (2 * SIZE, golden, ((JOB_KEY, "job-2"),))


@on_ceph
def test_an_unmarked_clone_with_data_is_never_touched(ceph: CephStorage, names: Names, golden: ImageRef) -> None:
    clone_by_hand(golden, names.volume())
    ceph.write(names.volume(), b"theirs")
    with pytest.raises(ConflictError):
        ceph.clone(golden, names.volume(), size_bytes=SIZE, job_id="job")
    assert ceph.read(names.volume(), offset=0, length=6) == b"theirs"


@on_ceph
def test_a_device_without_a_header_is_made_again(ceph: CephStorage, names: Names, golden: ImageRef) -> None:
    for volume in (names.volume("clone"), names.volume("blank")):
        with open_pool("vms") as ioctx:
            devices.create(ioctx, volume.name, SIZE)
            with rbd.Image(ioctx, volume.name, read_only=True) as device:
                header = f"rbd_header.{device.id()}"
            ioctx.remove_object(header)
        assert ceph.volume(volume) is None
    ceph.clone(golden, names.volume("clone"), size_bytes=SIZE, job_id="job")
    ceph.create_volume(names.volume("blank"), size_bytes=SIZE, job_id="job")
    assert ceph.read(names.volume("clone"), offset=0, length=6) == b"golden"
    assert ceph.read(names.volume("blank"), offset=0, length=6) == bytes(6)


@on_ceph
def test_a_volume_without_a_header_is_listed_and_removed(ceph: CephStorage, names: Names) -> None:
    volume = names.volume()
    with open_pool("vms") as ioctx:
        devices.create(ioctx, volume.name, SIZE)
        with rbd.Image(ioctx, volume.name, read_only=True) as device:
            header = f"rbd_header.{device.id()}"
        ioctx.remove_object(header)
    assert volume in ceph.volumes("vms")
    ceph.remove_volume(volume)
    assert volume not in ceph.volumes("vms")


CLONES_FOR_EVER = """
import sys
from tests.contract.storage_ceph import new_storage
from storage.refs import ImageRef, VolumeRef
storage, image = new_storage(), ImageRef("images", sys.argv[1])
for number in range(1000):
    print(number, flush=True)
    storage.clone(image, VolumeRef("vms", sys.argv[2] + str(number)), size_bytes=16 << 20, job_id="job")
"""


@on_ceph
def test_what_a_killed_process_left_is_made_whole(ceph: CephStorage, names: Names, golden: ImageRef) -> None:
    prefix = names.volume("killed").name
    command = [sys.executable, "-c", CLONES_FOR_EVER, golden.name, prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = next(line for line in process.stdout if line.strip() == "7").strip()
        process.send_signal(signal.SIGKILL)
    volume = VolumeRef("vms", prefix + last)
    clone_until_not_busy(ceph, golden, volume)
    info = ceph.volume(volume)
    assert info is not None
    assert (info.size_bytes, info.parent, info.metadata) == (2 * SIZE, golden, ((JOB_KEY, "job"),))


def clone_until_not_busy(ceph: CephStorage, image: ImageRef, volume: VolumeRef) -> None:
    """The dead process may be a watcher for 30 s; each try takes its round trips, so this does not spin."""
    while True:
        try:
            return ceph.clone(image, volume, size_bytes=2 * SIZE, job_id="job")
        except BusyError:
            continue


@on_ceph
def test_a_name_that_no_ref_can_hold_does_not_fail_the_listing(ceph: CephStorage, names: Names) -> None:
    strange = f"{names.volume().name}/@"
    with open_pool("vms") as ioctx:
        devices.create(ioctx, strange, SIZE)
        try:
            assert strange not in {ref.name for ref in ceph.volumes("vms")}
        finally:
            rbd.RBD().remove(ioctx, strange)


@on_ceph
def test_threads_share_one_connection(golden: ImageRef) -> None:
    storage = new_storage()
    with ThreadPoolExecutor(8) as threads:
        links = [each.result() for each in [threads.submit(storage._cluster._connected) for _ in range(32)]]
        sizes = list(threads.map(storage.image_size, [golden] * 32))
    assert {id(link) for link in links} == {id(storage._cluster._link)}
    assert sizes == [SIZE] * 32
    storage.close()


@on_ceph
def test_a_forked_child_makes_a_connection_of_its_own(ceph: CephStorage, golden: ImageRef) -> None:
    assert ceph.image_size(golden) == SIZE
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(ceph.image_size(golden)).encode())
        ceph.close()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert json.load(answer) == SIZE
    assert os.waitpid(child, 0)[1] == 0
    assert ceph.image_size(golden) == SIZE


FORKS_AND_EXITS = """
import os, sys
from tests.contract.storage_ceph import new_storage
storage = new_storage()
storage.health()
child = os.fork()
if child == 0:
    storage.health() if sys.argv[1] == "used" else None
    sys.exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("used", ["used", "unused"])
def test_a_forked_child_ends_by_itself(used: str) -> None:
    assert subprocess.run([sys.executable, "-c", FORKS_AND_EXITS, used], timeout=60, check=False).returncode == 0


@on_ceph
def test_a_blocklisted_client_connects_anew(golden: ImageRef) -> None:
    storage = new_storage()
    assert storage.image_size(golden) == SIZE
    link = storage._cluster._connected()
    address = link.handle.get_addrs()
    command = {"prefix": "osd blocklist", "blocklistop": "add", "addr": address, "expire": 60.0}
    assert link.handle.mon_command(json.dumps(command), b"")[0] == 0
    link.handle.wait_for_latest_osdmap()
    with pytest.raises(UnreachableError):
        storage.image_size(golden)
    assert storage.image_size(golden) == SIZE
    storage.close()


def test_a_missing_keyring_is_told_by_its_path(tmp_path: os.PathLike[str]) -> None:
    missing = f"{tmp_path}/missing.keyring"
    storage = CephStorage(os.environ["NACRE_TEST_CEPH_CONF"], missing, "client.nacre")
    with pytest.raises(StorageError, match=r"missing\.keyring"):
        storage.health()


@on_ceph
def test_every_osd_is_told_with_its_host_and_size(ceph: CephStorage) -> None:
    osds = ceph.osds()
    assert [osd.osd_id for osd in osds] == sorted({osd.osd_id for osd in osds})
    assert all(osd.host and osd.up and osd.in_cluster and 0 < osd.used_bytes < osd.total_bytes for osd in osds)
    assert all(osd.commit_latency_ms is None or osd.commit_latency_ms > 0 for osd in osds)


@on_ceph
def test_a_device_for_firmware_caches_its_writes_before_the_first_flush(ceph: CephStorage, names: Names) -> None:
    ceph.create_volume(names.volume(), size_bytes=SIZE, job_id="job", writeback=True)
    info = ceph.volume(names.volume())
    assert info is not None
    assert info.metadata == (*WRITEBACK.items(), (JOB_KEY, "job"))
