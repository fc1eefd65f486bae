"""Claims of capacity: what was decided on old numbers does not count."""

from datetime import UTC, datetime

import pytest

from service.db import allocations, change_counter, queries
from service.db.engine.database import bind, open_database, transaction
from service.db.engine.migrate import migrate
from service.db.tables import TABLES, Allocation, Flavor, Host, Image, Project, Vm
from service.errors import ConflictError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def two_host_db(tmp_path):
    db = open_database(f"sqlite:///{tmp_path / 'nacre.db'}")
    migrate(db)
    bind(db, TABLES)
    with transaction(db):
        size = {"vcpus": 1, "max_vcpus": 1, "memory_mib": 512, "max_memory_mib": 512}
        flavor = Flavor.create(id="f", created_at=NOW, name="f", disk_bytes=1, **size)
        project = Project.get()
        image = Image.create(
            id="i", created_at=NOW, name="i", state="ready", format="raw", default_user="u", pool="images",
            storage_name="image-i", size_bytes=1, sha256="", project=project,
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
    room = allocations.Room(host.id, host.name, host.generation, host.vcpus, host.memory_mib)
    return allocations.claim(allocation_id=str(number), vm=row, room=room, vcpus=1, memory_mib=512, now=NOW)


def counters() -> dict[str, tuple[int, int, int]]:
    """What the hosts' rows say is promised on them."""
    return {
        host.id: (host.allocated_vcpus, host.allocated_memory_mib, host.vm_count)
        for host in Host.select()
        if host.vm_count
    }


def changed() -> dict[str, int]:
    return {host.id: host.changed for host in Host.select()}


def test_of_two_claims_decided_on_the_same_numbers_one_counts(two_host_db):
    with transaction(two_host_db):
        first, second = Host.get_by_id("a"), Host.get_by_id("a")
        claim("vm-a", first)
        with pytest.raises(ConflictError) as raced:
            claim("vm-b", second, 2)
        assert raced.value.code == "placement.raced"
        assert queries.allocated() == {"a": (1, 512, 1)}
        claim("vm-b", Host.get_by_id("a"), 2)
        assert queries.allocated(["a"]) == {"a": (2, 1024, 2)} == counters()


def test_a_move_holds_both_hosts_and_gives_back_the_one_it_left(two_host_db):
    with transaction(two_host_db):
        claim("vm-a", Host.get_by_id("a"), 1)
        claim("vm-a", Host.get_by_id("b"), 2)
        claim("vm-b", Host.get_by_id("a"), 3)
        allocations.release_elsewhere("vm-a", "b")
        assert queries.allocated() == {"a": (1, 512, 1), "b": (1, 512, 1)} == counters()
        allocations.release("vm-a")
        allocations.release("vm-a")
        assert queries.allocated() == {"a": (1, 512, 1)} == counters()


def test_a_claim_that_would_not_fit_is_refused_whatever_its_generation_says(two_host_db):
    with transaction(two_host_db):
        for vm, vcpus, memory_mib in (("vm-a", 9, 1), ("vm-b", 1, 8193)):
            host = Host.get_by_id("a")
            room = allocations.Room(host.id, host.name, host.generation, host.vcpus, host.memory_mib)
            with pytest.raises(ConflictError) as raced:
                allocations.claim(
                    allocation_id=vm, vm=Vm.get_by_id(vm), room=room, vcpus=vcpus, memory_mib=memory_mib, now=NOW
                )
            assert raced.value.code == "placement.raced"
        assert counters() == {} == queries.allocated()


def test_a_resize_changes_the_counters_by_the_difference(two_host_db):
    with transaction(two_host_db):
        claim("vm-a", Host.get_by_id("a"), 1)
        claim("vm-b", Host.get_by_id("a"), 2)
        allocations.resize(Vm.get_by_id("vm-a"), vcpus=3, memory_mib=2048)
        assert queries.allocated() == {"a": (4, 2560, 2)} == counters()


def test_what_a_vm_was_found_to_hold_counts_without_room(two_host_db):
    with transaction(two_host_db):
        allocations.hold(allocation_id="1", vm=Vm.get_by_id("vm-a"), host_id="a", vcpus=99, memory_mib=99_999, now=NOW)
        assert queries.allocated() == {"a": (99, 99_999, 1)} == counters()


def test_counters_that_somebody_left_wrong_are_counted_again(two_host_db):
    with transaction(two_host_db):
        claim("vm-a", Host.get_by_id("a"), 1)
        claim("vm-b", Host.get_by_id("b"), 2)
        assert allocations.recount() == []
        before = change_counter.last()
        Allocation.delete().where(Allocation.vm == "vm-a").execute()  # as a release without counters does
        assert allocations.recount() == ["a"]
        assert counters() == {"b": (1, 512, 1)} == queries.allocated()
        assert change_counter.last() > before
        assert allocations.recount() == []


def test_every_change_of_a_hosts_promises_is_seen_by_its_number(two_host_db):
    with transaction(two_host_db):
        first = claim("vm-a", Host.get_by_id("a"), 1)
        assert changed() == {"a": first, "b": 0}
        Vm.update(host="a").where(Vm.id == "vm-a").execute()
        assert claim("vm-a", Host.get_by_id("b"), 2) is None, "more than one host has changed"
        second, _ = change_counter.last()
        assert changed() == {"a": second, "b": second}, "a move counts on both ends"
        allocations.release_elsewhere("vm-a", "b")
        assert min(changed().values()) > second
        assert change_counter.last() == (max(changed().values()), 0)


def test_a_touch_numbers_the_hosts_it_names(two_host_db):
    with transaction(two_host_db):
        number = change_counter.touch(["b"])
        assert changed() == {"a": 0, "b": number}
        again = change_counter.touch_all()
        assert again > number
        assert set(changed().values()) == {again}
        change_counter.note_removed()
        assert change_counter.last() == (again, 1)
