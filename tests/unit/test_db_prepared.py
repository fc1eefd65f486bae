"""Statements that are put into SQL once do what peewee's own do, on both products."""

from datetime import UTC, datetime

import psycopg
import pytest
from peewee import IntegrityError

from service.db import quotas
from service.db.engine.database import transaction, unit_of_work
from service.db.engine.prepared import Parameter, Prepared, insert, insert_all, write_back
from service.db.tables import Event, Flavor, Host, Image, Project, Quota, Token, User, Vm
from service.errors import ConflictError

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FLAVOR = {"created_at": NOW, "vcpus": 2, "max_vcpus": 4, "memory_mib": 512, "max_memory_mib": 1024, "disk_bytes": 1}

IMAGE = {"id": "i", "created_at": NOW, "name": "i", "state": "ready", "format": "raw", "pool": "p", "storage_name": "r"}
IMAGE |= {"size_bytes": 1, "sha256": "0"}


@pytest.fixture
def project(cloud_db):
    with transaction(cloud_db):
        return insert(Project, id="p", created_at=NOW, name="p", description="")


def all_of(table):
    return Prepared(table, lambda: table.select().order_by(table.id)).all()


def as_data(rows):
    return [row.__data__ for row in rows]


def make_vm(project, **more):
    flavor = insert(Flavor, id="f", name="f", **FLAVOR)
    return insert(
        Vm, id="v", created_at=NOW, name="v", flavor=flavor, desired_state="running", observed_state="creating",
        vcpus=2, max_vcpus=4, memory_mib=512, max_memory_mib=1024, ssh_keys=["a", "b"], created_by="me",
        project=project.id, **more,
    )  # fmt: skip


def test_an_inserted_row_in_hand_is_the_row_in_the_database(cloud_db, project):
    with transaction(cloud_db):
        vm = make_vm(project, observed_at=NOW)
    with unit_of_work(cloud_db):
        there = Vm.get_by_id("v")
        assert {name: there.__data__[name] for name in vm.__data__} == vm.__data__
        assert (there.boot, there.tags, there.managed, there.epoch) == (["disk", "cdrom"], [], True, 1)
        assert vm.flavor.name == there.flavor.name == "f"
        assert vm.host_id is None


@pytest.mark.parametrize("table", [Vm, Flavor, Host, Project])
def test_a_prepared_query_reads_what_peewee_reads(cloud_db, project, table):
    with transaction(cloud_db):
        make_vm(project)
        Host.create(
            id="h", created_at=NOW, name="h", address="1.2.3.4", state="active", vcpus=1, memory_mib=1,
            reserved_vcpus=0, reserved_memory_mib=0, ceph_user="c", facts={"cpu_load": 0.25}, observed_at=NOW,
        )  # fmt: skip
        assert as_data(all_of(table)) == as_data(table.select().order_by(table.id))
        assert as_data(all_of(table)), "the second run of a statement as the first"


def test_a_reference_is_read_with_its_row(cloud_db):
    query = Prepared(Token, lambda: Token.select(Token, User).join(User).limit(1), beside=Token.user)
    with transaction(cloud_db):
        user = insert(User, id="u", created_at=NOW, name="ann", role="user")
        insert(Token, id="t", created_at=NOW, user=user, name="t", sha256="0")
        token = query.first()
        assert token is not None
        assert token.__data__ == Token.get_by_id("t").__data__
        assert token.user.__data__ == User.get_by_id("u").__data__


def test_many_rows_go_in_with_one_statement_in_their_order(cloud_db):
    with transaction(cloud_db):
        rows = [
            {"created_at": NOW, "kind": f"k{n}", "object_kind": "", "object_id": "", "data": {"n": n}} for n in (1, 2)
        ]
        insert_all(Event, [])
        insert_all(Event, rows)
        assert [(row.kind, row.data) for row in Event.select().order_by(Event.id)] == [
            ("k1", {"n": 1}),
            ("k2", {"n": 2}),
        ]


def test_only_the_named_columns_are_written_back(cloud_db, project):
    with transaction(cloud_db):
        vm = make_vm(project)
        vm.epoch, vm.tags, vm.description = 7, ["x"], "kept in hand"
        write_back(vm, "epoch", "tags")
        there = Vm.get_by_id("v")
        assert (there.epoch, there.tags, there.description) == (7, ["x"], "")


def test_a_value_beside_its_column_is_kept_as_the_column_keeps_it(cloud_db):
    ended = Prepared(Event, lambda: Event.delete().where(Event.created_at <= Parameter("before")))
    with transaction(cloud_db):
        insert(Event, created_at=NOW, kind="k", object_kind="", object_id="", data={})
        assert ended.run(before=NOW.replace(microsecond=0)) == 0
        assert ended.run(before=NOW) == 1


def test_what_was_put_off_fails_its_transaction(cloud_db, project):
    def fail():
        with transaction(cloud_db):
            insert(Image, **IMAGE, project="nobody's")
            list(Project.select())

    with pytest.raises((IntegrityError, psycopg.IntegrityError)):
        fail()
    with unit_of_work(cloud_db):
        assert not Image.select().exists()


def test_what_was_put_off_is_gone_with_a_rollback(cloud_db):
    def fail():
        with transaction(cloud_db):
            insert(Flavor, id="f", name="f", **FLAVOR)
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    with transaction(cloud_db):
        insert(Flavor, id="g", name="g", **FLAVOR)
    with unit_of_work(cloud_db):
        assert [row.id for row in Flavor.select()] == ["g"]


def test_a_claim_counts_all_or_is_refused_with_the_resource_that_is_short(cloud_db, project):
    wanted = {"vms": 1, "vcpus": 4, "memory_mib": 0}
    with transaction(cloud_db):
        quotas.claim("p", wanted)
        quotas.set_limit("p", "vcpus", 8)
        quotas.claim("p", wanted)
    with pytest.raises(ConflictError, match="may have 8 vcpus, has 8, and 4 more"), transaction(cloud_db):
        quotas.claim("p", wanted | {"volumes": 1})
    with unit_of_work(cloud_db):
        assert {row.resource: row.used for row in Quota.select() if row.used} == {"vms": 2, "vcpus": 8}
