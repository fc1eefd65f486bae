"""Fixtures of the contract suites; each contract keeps its own in a file of its own."""

import os

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
