"""Claims of capacity: what was decided on old numbers does not count."""

from datetime import UTC, datetime

import pytest

from service.db import allocations, queries
from service.db.database import bind, open_database, transaction
from service.db.migrate import migrate
from service.db.tables import TABLES, Flavor, Host, Image, Project, Vm
from service.errors import ConflictError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def db(tmp_path):
    db = open_database(f"sqlite:///{tmp_path / 'nacre.db'}")
    migrate(db)
    bind(db, TABLES)
    with transaction(db):
        size = {"vcpus": 1, "max_vcpus": 1, "memory_mib": 512, "max_memory_mib": 512}
        flavor = Flavor.create(id="f", created_at=NOW, name="f", disk_bytes=1, **size)
        project = Project.get()
        image = Image.create(
            id="i", created_at=NOW, name="i", state="ready", format="raw", default_user="u", pool="images",
            rbd_name="image-i", size_bytes=1, sha256="", project=project,
        )  # fmt: skip
        for name in ("a", "b"):
            Host.create(
                id=name, created_at=NOW, name=name, address=name, state="active", vcpus=8, memory_mib=8192,
                reserved_vcpus=0, reserved_memory_mib=0, ceph_user="c",
            )  # fmt: skip
            Vm.create(
                id=f"vm-{name}", created_at=NOW, name=name, flavor=flavor, image=image, desired_state="running",
                observed_state="creating", user="u", ssh_keys=[], created_by="ann", project=project, **size,
            )  # fmt: skip
    return db


def claim(vm: str, host: Host, number: int = 1):
    row = Vm.get_by_id(vm)
    return allocations.claim(allocation_id=str(number), vm=row, host=host, vcpus=1, memory_mib=512, now=NOW)


def test_of_two_claims_decided_on_the_same_numbers_one_counts(db):
    with transaction(db):
        first, second = Host.get_by_id("a"), Host.get_by_id("a")
        claim("vm-a", first)
        with pytest.raises(ConflictError) as raced:
            claim("vm-b", second, 2)
        assert raced.value.code == "placement.raced"
        assert queries.allocated() == {"a": (1, 512, 1)}
        claim("vm-b", Host.get_by_id("a"), 2)
        assert queries.allocated(["a"]) == {"a": (2, 1024, 2)}


def test_a_move_holds_both_hosts_and_gives_back_the_one_it_left(db):
    with transaction(db):
        claim("vm-a", Host.get_by_id("a"), 1)
        claim("vm-a", Host.get_by_id("b"), 2)
        claim("vm-b", Host.get_by_id("a"), 3)
        allocations.release_elsewhere("vm-a", "b")
        assert queries.allocated() == {"a": (1, 512, 1), "b": (1, 512, 1)}
        allocations.release("vm-a")
        allocations.release("vm-a")
        assert queries.allocated() == {"a": (1, 512, 1)}
