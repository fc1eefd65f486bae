"""The Ceph side of the storage contract's suite. Imported only where the environment names a cluster."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rados
import rbd

from storage.ceph.backend import CephStorage
from storage.ceph.cluster import Timeouts
from storage.contract import Storage
from storage.refs import ImageRef, VolumeRef

DEADLINE_S = 2


def new_storage() -> CephStorage:
    env = os.environ
    conf, keyring = env["NACRE_TEST_CEPH_CONF"], env["NACRE_TEST_CEPH_KEYRING"]
    return CephStorage(conf, keyring, env["NACRE_TEST_CEPH_CLIENT"])


@contextmanager
def connection(client: str, keyring: str) -> Iterator[rados.Rados]:
    conf = {"keyring": keyring, "client_mount_timeout": "10", "rados_mon_op_timeout": "10"}
    with rados.Rados(conffile=os.environ["NACRE_TEST_CEPH_CONF"], name=client, conf=conf) as handle:
        yield handle


@contextmanager
def open_pool(pool: str) -> Iterator[rados.Ioctx]:
    """A pool over a connection of its own, as a stranger to the storage under test."""
    env = os.environ
    with (
        connection(env["NACRE_TEST_CEPH_CLIENT"], env["NACRE_TEST_CEPH_KEYRING"]) as handle,
        handle.open_ioctx(pool) as ioctx,
    ):
        yield ioctx


class CephBackend:
    def __init__(self) -> None:
        self.storage = new_storage()
        self._silence = socket.socket()
        self._folder = tempfile.TemporaryDirectory()

    @contextmanager
    def hold(self, volume: VolumeRef) -> Iterator[None]:
        with open_pool(volume.pool) as ioctx, rbd.Image(ioctx, volume.name):
            yield

    @contextmanager
    def full(self, pool: str) -> Iterator[None]:
        with connection("client.admin", os.environ["NACRE_TEST_CEPH_ADMIN_KEYRING"]) as handle:
            _set_quota(handle, pool, 1)
            try:
                _await_full(handle, pool, lambda flags: "full" in flags)
                yield
            finally:
                _set_quota(handle, pool, 0)
                _await_full(handle, pool, lambda flags: "full" not in flags)

    def stored_bytes(self, image: ImageRef) -> int:
        used: list[int] = []
        with open_pool(image.pool) as ioctx, rbd.Image(ioctx, image.name, read_only=True) as device:
            device.diff_iterate(0, device.size(), None, lambda _, length, exists: used.append(length if exists else 0))
        return sum(used)

    def unreachable(self) -> Storage:
        self._silence.bind(("127.0.0.1", 0))
        self._silence.listen()  # takes connections and never says a word
        port = self._silence.getsockname()[1]
        conf = Path(self._folder.name, "ceph.conf")
        conf.write_text(f"[global]\nmon_host = [v2:127.0.0.1:{port}]\n")
        return CephStorage(
            str(conf),
            os.environ["NACRE_TEST_CEPH_KEYRING"],
            os.environ["NACRE_TEST_CEPH_CLIENT"],
            timeouts=Timeouts(connect_s=DEADLINE_S, command_s=DEADLINE_S, io_s=DEADLINE_S),
        )

    def close(self) -> None:
        self._silence.close()
        self._folder.cleanup()
        self.storage.close()


def _command(handle: rados.Rados, **command: str) -> bytes:
    code, answer, message = handle.mon_command(json.dumps({"format": "json", **command}), b"")
    assert code == 0, message
    return answer


def _set_quota(handle: rados.Rados, pool: str, max_bytes: int) -> None:
    _command(handle, prefix="osd pool set-quota", pool=pool, field="max_bytes", val=str(max_bytes))


def _await_full(handle: rados.Rados, pool: str, reached: Callable[[list[str]], bool]) -> None:
    """The monitor sets and clears the flag when the OSDs next report, a few seconds later."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        pools = json.loads(_command(handle, prefix="osd pool ls", detail="detail"))
        if reached(next(each["flags_names"] for each in pools if each["pool_name"] == pool).split(",")):
            return
        time.sleep(0.2)  # the flag has no event to wait for
    raise TimeoutError(f"pool {pool}: its full flag did not change")
