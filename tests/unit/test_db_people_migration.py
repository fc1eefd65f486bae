"""A cloud from before there were projects: everything goes to one, everybody goes on."""

import shutil

import pytest
from peewee import fn

from service.db import quotas
from service.db.engine.database import bind, open_database, transaction, unit_of_work
from service.db.engine.migrate import MIGRATIONS, migrate
from service.db.tables import TABLES, Image, Membership, Project, Quota, Token, User, Vm, Volume

SIZES = {"vcpus": 2, "max_vcpus": 4, "memory_mib": 512, "max_memory_mib": 1024}
GIB = 1 << 30
ROWS = {
    "token": [
        {"id": "t1", "created_at": 1, "name": "root", "sha256": "a" * 64, "role": "admin"},
        {"id": "t2", "created_at": 2, "name": "ann", "sha256": "b" * 64, "role": "user"},
    ],
    "flavor": [{"id": "f", "created_at": 1, "name": "f", "disk_bytes": GIB, **SIZES}],
    "network": [
        {"id": "n", "created_at": 1, "name": "n", "bridge": "br0", "cidr": "10.0.0.0/24", "first_address": "10.0.0.2",
         "last_address": "10.0.0.9", "dns": "[]"},
    ],
    "image": [
        {"id": "i", "created_at": 1, "name": "i", "state": "ready", "format": "raw", "default_user": "u",
         "pool": "images", "rbd_name": "image-i", "size_bytes": GIB, "sha256": "c" * 64},
    ],
    "vm": [
        {"id": f"v{number}", "created_at": 1, "name": f"vm{number}", "flavor_id": "f", "image_id": "i",
         "desired_state": "stopped", "observed_state": "stopped", "epoch": 1, "user": "u", "ssh_keys": "[]",
         "created_by": "ann", **SIZES}
        for number in (1, 2)
    ],
    "volume": [
        {"id": f"{role}{number}", "created_at": 1, "vm_id": f"v{number}", "role": role, "target": target,
         "pool": "vms", "rbd_name": f"vm-v{number}-{role}", "size_bytes": size}
        for number in (1, 2)
        for role, target, size in (("root", "vda", 3 * GIB + 1), ("seed", "sda", 1 << 20))
    ],
    "nic": [{"id": "c1", "created_at": 1, "vm_id": "v1", "network_id": "n", "mac": "m1", "address": "10.0.0.2"}],
    "audit": [
        {"id": "a", "created_at": 1, "actor": "ann", "action": "create_vm", "object_kind": "vm", "object_id": "v1",
         "object_name": "vm1", "request_id": "r", "detail": "{}"},
    ],
}  # fmt: skip


@pytest.fixture
def migrated_db(new_database, tmp_path):
    """Rows of the second migration's schema, brought to today's."""
    db, old = open_database(new_database("a")), tmp_path / "migrations"
    old.mkdir()
    for path in sorted(MIGRATIONS.glob("[0-9]*.py"))[:2]:
        shutil.copy(path, old)
    migrate(db, old)
    mark = db.param
    with transaction(db):
        for table, rows in ROWS.items():
            for row in rows:
                names = ", ".join(f'"{name}"' for name in row)
                db.execute_sql(
                    f'INSERT INTO "{table}" ({names}) VALUES ({", ".join(mark for _ in row)})', tuple(row.values())
                )
    migrate(db)
    bind(db, TABLES)
    return db


def test_everything_that_was_there_is_in_the_project_default(migrated_db):
    with unit_of_work(migrated_db):
        (project,) = Project.select()
        assert project.name == "default"
        assert project.created_at.year >= 2026
        for table, many in ((Vm, 2), (Image, 1), (Volume, 4)):
            assert [row.project_id for row in table.select()] == [project.id] * many
        assert Image.get().visibility == "public", "everybody saw it"


def test_every_token_still_opens_the_door_for_a_user_of_its_name_and_role(migrated_db):
    with unit_of_work(migrated_db):
        found = {token.sha256[0]: (token.user.name, token.user.role) for token in Token.select()}
        assert found == {"a": ("root", "admin"), "b": ("ann", "user")}
        assert Membership.select().where(Membership.user == User.get(User.name == "ann")).count() == 1


def test_what_is_there_counts_from_the_first_day_on(migrated_db):
    with unit_of_work(migrated_db):
        project = Project.get()
        counted = {quota.resource: quota.used for quota in quotas.of_project(project.id)}
        expected = {"vms": 2, "vcpus": 4, "memory_mib": 1024, "volumes": 2, "addresses": 1, "gib:vms": 8}
        assert {name: counted.get(name) for name in expected} == expected
        afresh = {name: amount for name, amount in quotas.recounted(project.id).items() if amount}
        assert {name: used for name, used in counted.items() if used} == afresh
        assert Quota.select(fn.COUNT(Quota.limit)).scalar() == 0, "nothing is limited"
