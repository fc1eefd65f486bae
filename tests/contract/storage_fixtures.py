"""The backends that the storage contract is proved on: memory always, Ceph where the environment names a cluster.

NACRE_TEST_CEPH_CONF, NACRE_TEST_CEPH_KEYRING and NACRE_TEST_CEPH_CLIENT (full cephx name) add Ceph.
NACRE_TEST_CEPH_ADMIN_KEYRING (client.admin) adds what the control plane's own user may not do: filling a pool.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import pytest

from storage.contract import Storage
from storage.facts import OsdFacts
from storage.memory import MemoryStorage
from storage.refs import ImageRef, VolumeRef

HAS_CEPH = "NACRE_TEST_CEPH_CONF" in os.environ
HAS_CEPH_ADMIN = "NACRE_TEST_CEPH_ADMIN_KEYRING" in os.environ

if HAS_CEPH:
    from tests.contract.storage_ceph import CephBackend

MIB = 1 << 20
SIZE = 8 * MIB


class Backend(Protocol):
    """A storage and the world around it, as far as the suite has to move it."""

    storage: Storage

    def hold(self, volume: VolumeRef) -> AbstractContextManager[object]:
        """Somebody else has the volume open while inside."""

    def full(self, pool: str) -> AbstractContextManager[object]:
        """The pool is full while inside."""

    def stored_bytes(self, image: ImageRef) -> int:
        """What the image's data costs. The image may be gone afterwards."""

    def unreachable(self) -> Storage:
        """The same kind of storage, where nobody answers."""

    def close(self) -> None:
        """Give back what is held."""


class MemoryBackend:
    def __init__(self) -> None:
        osds = (OsdFacts(n, f"host{n // 2 + 1}", True, True, None, None, 0, 1 << 40, "hdd") for n in range(6))
        self.storage = MemoryStorage(osds=tuple(osds))

    def hold(self, volume: VolumeRef) -> AbstractContextManager[object]:
        return self.storage.hold(volume)

    @contextmanager
    def full(self, pool: str) -> Iterator[None]:
        self.storage.set_full(pool, True)
        yield
        self.storage.set_full(pool, False)

    def stored_bytes(self, image: ImageRef) -> int:
        with_it = self._pool_bytes(image.pool)
        self.storage.remove_image(image)
        return with_it - self._pool_bytes(image.pool)

    def _pool_bytes(self, name: str) -> int:
        return next(pool.stored_bytes for pool in self.storage.pools() if pool.name == name)

    def unreachable(self) -> Storage:
        storage = MemoryStorage()
        storage.set_reachable(False)
        return storage

    def close(self) -> None:
        self.storage.set_reachable(False)


class Names:
    """Names that no other test uses, and the removal of all that bears them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._prefix = f"t{uuid.uuid4().hex[:8]}"

    def image(self, name: str = "image", pool: str = "images") -> ImageRef:
        return ImageRef(pool, f"{self._prefix}-{name}")

    def volume(self, name: str = "volume", pool: str = "vms") -> VolumeRef:
        return VolumeRef(pool, f"{self._prefix}-{name}")

    def remove_all(self) -> None:
        for ref in self._mine("vms"):
            self._storage.remove_volume(ref)
        for ref in self._mine("images"):
            self._storage.remove_image(ImageRef(ref.pool, ref.name))

    def _mine(self, pool: str) -> list[VolumeRef]:
        return [ref for ref in self._storage.volumes(pool) if ref.name.startswith(self._prefix)]


def _make(kind: str) -> Backend:
    return MemoryBackend() if kind == "memory" else CephBackend()


@pytest.fixture(params=["ceph" if HAS_CEPH else "memory"], scope="module")
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made = _make(request.param)
    yield made
    made.close()


@pytest.fixture(params=["memory", *(["ceph"] if HAS_CEPH_ADMIN else [])])
def fillable_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made = _make(request.param)
    yield made
    made.close()


def _names(backend: Backend) -> Iterator[Names]:
    names = Names(backend.storage)
    yield names
    names.remove_all()


@pytest.fixture
def names(backend: Backend) -> Iterator[Names]:
    yield from _names(backend)


@pytest.fixture
def fillable_names(fillable_backend: Backend) -> Iterator[Names]:
    yield from _names(fillable_backend)


@pytest.fixture(scope="module")
def golden(backend: Backend) -> Iterator[ImageRef]:
    """One finished image for all tests that only clone it: a snapshot costs a second on Ceph."""
    names = Names(backend.storage)
    yield import_blank(backend.storage, names.image("golden"))
    names.remove_all()


@pytest.fixture
def storage(backend: Backend) -> Storage:
    return backend.storage


def import_blank(storage: Storage, image: ImageRef, *, size_bytes: int = 8 * MIB, data: bytes = b"golden") -> ImageRef:
    """A finished image with a little data at its start."""
    storage.import_image(image, [(0, data)], size_bytes=size_bytes, progress=lambda _: None)
    return image


def ignore(_: int) -> None:
    """A progress nobody looks at."""
