"""VMs from before there were disks of many kinds are as they were."""

import shutil

from service.db.engine.database import open_database, transaction, unit_of_work
from service.db.engine.migrate import MIGRATIONS, migrate

AT = 1_900_000_000_000_000
PROJECT = "00000000-0000-4000-8000-000000000001"
MADE = {"created_at": AT}
SIZE = {"vcpus": 1, "max_vcpus": 2, "memory_mib": 256, "max_memory_mib": 512}
RESERVED = {"reserved_vcpus": 0, "reserved_memory_mib": 0, "generation": 1, "ceph_user": "host-host1"}
IMAGE = {"format": "raw", "default_user": "nacre", "pool": "images", "size_bytes": 1 << 20, "sha256": "0" * 64}
RUNS = {"desired_state": "running", "observed_state": "running", "epoch": 1, "user": "nacre", "ssh_keys": "[]"}
ON_VM = {"vm_id": "v", "pool": "vms", "size_bytes": 1 << 20}
ROWS = (
    (
        "host",
        {
            "id": "h",
            "name": "host1",
            "address": "10.0.0.1",
            "state": "active",
            "vcpus": 4,
            "memory_mib": 4096,
            **RESERVED,
        },
    ),
    ("flavor", {"id": "f", "name": "small", "disk_bytes": 1 << 30, **SIZE}),
    ("image", {"id": "i", "name": "mini", "state": "ready", "rbd_name": "image-i", **IMAGE}),
    ("vm", {"id": "v", "name": "web", "flavor_id": "f", "image_id": "i", "created_by": "ann", **SIZE, **RUNS}),
    ("volume", {"id": "r", "role": "root", "target": "vda", "rbd_name": "vm-v-0", **ON_VM}),
    ("volume", {"id": "s", "role": "seed", "target": "sda", "rbd_name": "vm-v-1", **ON_VM}),
)


def columns(db, table: str, names: str) -> list[tuple]:
    return db.execute_sql(f'SELECT {names} FROM "{table}" ORDER BY id').fetchall()


def test_vms_that_are_there_keep_their_disks_and_get_what_they_had(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for path in sorted(MIGRATIONS.glob("000[12]_*.py")):
        shutil.copy(path, old)
    db = open_database(f"sqlite:///{tmp_path}/nacre.db")
    migrate(db, old)
    with transaction(db):
        for table, row in ROWS:
            values = MADE | row
            marks = ", ".join("?" * len(values))
            db.execute_sql(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))
    migrate(db)
    with unit_of_work(db):
        assert columns(db, "volume", "role, target, bus, image_id, vm_id, name, state, project_id") == [
            ("root", "vda", "virtio", "i", "v", None, "ready", PROJECT),
            ("seed", "sda", "scsi", None, "v", None, "ready", PROJECT),
        ]
        shown = "firmware, chipset, clock, video, boot, tags, description, pending, generation, user_data, image_id"
        assert columns(db, "vm", shown) == [
            ("bios", "q35", "utc", "vga", '["disk","cdrom"]', "[]", "", None, 1, None, "i")
        ]
