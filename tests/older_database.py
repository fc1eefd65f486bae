"""A database as the version before migration 0015 left it: block devices have an `rbd_name`, a job is under way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from service.db.engine.database import Database, open_database, transaction
from service.db.engine.migrate import MIGRATIONS, migrate

PROJECT = "00000000-0000-4000-8000-000000000001"
SIZE, AT = 1 << 20, 1_900_000_000_000_000
DEVICE = {"created_at": AT, "size_bytes": SIZE, "project_id": PROJECT, "state": "ready"}
IMAGE = {"format": "raw", "visibility": "public", "kind": "disk", "compression": "none", "labels": "[]"}
JOB = {
    "phase": "look", "progress": 0.0, "progress_text": "", "reason": "", "object_kind": "host", "object_id": "h",
    "actor": "ann", "request_id": "r", "code_version": 1, "committed": False, "cancel_requested": False, "term": 1,
    "attempts": 1, "failures": 0, "created_at": AT,
}  # fmt: skip
OLD_REF = {"$type": "VolumeRef", "pool": "vms", "rbd_name": "volume-d"}
OLD_IMAGE_REF = {"$type": "ImageRef", "pool": "images", "rbd_name": "image-i", "snapshot": "golden"}
FOUND = {
    "vm_id": "v",
    "sizes": {"vda": SIZE},
    "disks": [
        {"target": "vda", "bus": "virtio", "device": "disk", "pool": "vms", "rbd_name": "theirs"},
        {"target": "sda", "bus": "sata", "device": "cdrom", "pool": None, "rbd_name": None},
    ],
}
ROWS = (
    ("image", {"id": "i", "name": "mini", "pool": "images", "rbd_name": "image-i", "min_disk_bytes": 0,
               **DEVICE, **IMAGE}),
    ("volume", {"id": "d", "name": "data", "role": "data", "pool": "vms", "bus": "virtio", "image_id": "i",
                "rbd_name": "volume-d", **DEVICE}),
    ("job", {"id": "j", "kind": "adopt_vm", "state": "running", "args": json.dumps({"volume": OLD_REF}), **JOB}),
    ("job_step", {"id": 1, "job_id": "j", "name": "look", "position": 1, "started_at": AT, "finished_at": AT,
                  "result": json.dumps(FOUND)}),
    ("job_step", {"id": 2, "job_id": "j", "name": "clone", "position": 2, "started_at": AT, "finished_at": AT,
                  "result": json.dumps({"$tuple": [OLD_REF, OLD_IMAGE_REF]})}),
    ("job_step", {"id": 3, "job_id": "j", "name": "wait", "position": 3, "started_at": AT, "finished_at": None,
                  "result": None}),
    ("job_undo", {"id": 1, "job_id": "j", "position": 1, "verb": "remove_volume", "args": json.dumps([OLD_REF, 7])}),
)  # fmt: skip


def older_database(url: str, folder: Path) -> Database:
    """Make it with that version's migrations, copied to `folder`, and with plain SQL."""
    folder.mkdir()
    for path in MIGRATIONS.glob("[0-9]*.py"):
        if path.stem < "0014":
            shutil.copy(path, folder)
    db = open_database(url)
    migrate(db, folder)
    with transaction(db):
        for table, row in ROWS:
            names, marks = ", ".join(f'"{name}"' for name in row), ", ".join(db.param for _ in row)
            db.execute_sql(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values()))
    return db
