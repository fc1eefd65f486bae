"""The lab suite: the whole service on real Ceph and libvirt. Collected where NACRE_TEST_LAB names a lab.

What costs time, so that it is not paid twice: without KVM every boot of a guest is emulated, so a module has one VM for
all its tests, and VMs that several tests need are made together and boot side by side; Debian boots while the contract
suites run. One start of `nacre` takes half a second of CPU: what only looks asks the API, and ssh is started directly.
The service has one worker, hosts are killed and pools filled: two tests of this folder never run at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import evidence, whole_lab
from tests.lab.cloud import Cloud
from tests.lab.evidence import pytest_runtest_makereport
from tests.lab.sweep import sweep
from tests.lab.whole_lab import WholeLab

__all__ = ["pytest_runtest_makereport"]

collect_ignore_glob = [] if whole_lab.WANTED else ["test_*.py"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before collection: what the contract suites run on is read from the environment then."""
    if whole_lab.WANTED and not session.config.option.collectonly:
        lab = whole_lab.bring_up()
        evidence.forget(evidence.folder_of_all(lab.spec))
        sweep(lab)


def pytest_sessionfinish() -> None:
    """After the last test, whatever became of it."""
    whole_lab.take_down()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The contract suites run while Debian boots, which takes minutes under emulation: they kill no host."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.path.name == "test_debian.py":
        return 3 if "powers_off" in item.name else 1
    return 0 if item.path.is_relative_to(Path(__file__).parent) else 2


@pytest.fixture(scope="session")
def lab() -> WholeLab:
    """The lab, up to its image."""
    return whole_lab.bring_up()


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
