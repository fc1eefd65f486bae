"""Fixtures of the contract suites: the storages' are in a file of their own."""

import os
from collections.abc import Iterator

import pytest

from service.hypervisor.contract import Hypervisor
from service.hypervisor.spec import DomainSpec
from tests.contract.hypervisor_worlds import WORLDS, World
from tests.contract.storage_fixtures import (
    HAS_CEPH,
    backend,
    fillable_backend,
    fillable_names,
    golden,
    names,
    storage,
)

__all__ = ["backend", "fillable_backend", "fillable_names", "golden", "names", "storage"]

collect_ignore = [
    *([] if HAS_CEPH else ["test_storage_ceph.py"]),
    *([] if "NACRE_TEST_HOSTS" in os.environ else ["test_libvirt_vnc.py"]),
]


@pytest.fixture(params=WORLDS, ids=lambda world: world.__name__)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made: World = request.param()
    yield made
    made.close()


@pytest.fixture
def here(world: World) -> Hypervisor:
    return world.hypervisors.on(world.here)


@pytest.fixture
def there(world: World) -> Hypervisor:
    return world.hypervisors.on(world.there)


@pytest.fixture
def running(world: World, here: Hypervisor) -> DomainSpec:
    spec = world.spec()
    here.start(spec)
    return spec
