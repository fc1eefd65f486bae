"""The lab suite: the whole service on real Ceph and libvirt. Collected where NACRE_TEST_LAB names a lab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import evidence, whole_lab
from tests.lab.cloud import Cloud
from tests.lab.evidence import pytest_runtest_makereport
from tests.lab.sweep import sweep
from tests.lab.whole_lab import WholeLab

__all__ = ["pytest_runtest_makereport"]

collect_ignore_glob = [] if whole_lab.WANTED else ["test_*.py"]
SLOWEST = "test_debian.py"


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
    """A fault in the small and fast is told before the slow begins."""
    items.sort(key=lambda item: item.path.name == SLOWEST)


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


@pytest.fixture(scope="module")
def house(lab: WholeLab) -> Iterator[Cloud]:
    """The same for VMs that all tests of a module share."""
    made = Cloud(lab)
    yield made
    made.close()
