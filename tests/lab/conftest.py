"""The lab suite: the whole service on real Ceph and libvirt. Collected where NACRE_TEST_LAB names a lab.

What costs time, so that it is not paid twice: without KVM every boot of a guest is emulated, so a module has one VM for
all its tests, and VMs that several tests need are made together and boot side by side; Debian boots while other tests
run. One start of `nacre` takes half a second of CPU: what only looks asks the API, and ssh is started directly.

Tests marked `beside` leave the service and what it knows alone: `-m beside` may run at the same time as
`-m 'not beside'`. Tests that stop hosts, slow them down or fill pools use `alone`: they come last, and wait for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import store
from tests.lab import evidence, whole_lab
from tests.lab.cloud import Cloud
from tests.lab.evidence import pytest_runtest_makereport
from tests.lab.sweep import sweep
from tests.lab.whole_lab import WholeLab

__all__ = ["pytest_runtest_makereport"]

HERE = Path(__file__).parent
collect_ignore_glob = [] if whole_lab.WANTED else ["test_*.py"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before collection: what the contract suites run on is read from the environment then."""
    if whole_lab.WANTED and not session.config.option.collectonly:
        with store.locked(store.lock_path(f"{whole_lab.NAME}-tests"), wait=True):
            lab = whole_lab.bring_up()
            if not lab.turns.others_at_work():
                evidence.forget(evidence.folder_of_all(lab.spec))
                sweep(lab)
            lab.turns.join()


def pytest_sessionfinish() -> None:
    """After the last test, whatever became of it."""
    if whole_lab.bring_up.cache_info().currsize:
        with store.locked(store.lock_path(f"{whole_lab.NAME}-tests"), wait=True):
            whole_lab.take_down()


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Debian boots for minutes under emulation, beside tests that stop no host; the contract suites use no service."""
    for item in items:
        if not item.path.is_relative_to(HERE):
            item.add_marker("beside")
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.path.name == "test_debian.py":
        return 2 if "powers_off" in item.name else 0
    return 3 if "alone" in getattr(item, "fixturenames", ()) else 1


@pytest.fixture(scope="session")
def lab() -> WholeLab:
    """The lab, up to its image."""
    return whole_lab.bring_up()


@pytest.fixture
def alone(lab: WholeLab) -> Iterator[None]:
    """No other run of tests is at work on the lab."""
    with lab.turns.alone():
        yield


@pytest.fixture
def cloud(lab: WholeLab) -> Iterator[Cloud]:
    """The service in the lab; VMs that the test makes are deleted after it."""
    made = Cloud(lab)
    yield made
    made.close()


@pytest.fixture(scope="session")
def long_lived(lab: WholeLab) -> Iterator[Cloud]:
    """The same for a VM that is there while other modules' tests run."""
    made = Cloud(lab)
    yield made
    made.close()


@pytest.fixture(scope="module")
def house(lab: WholeLab) -> Iterator[Cloud]:
    """The same for VMs that all tests of a module share."""
    made = Cloud(lab)
    yield made
    made.close()
