"""Findings stored before they had `detail` and `fix` are shown with these names."""

import json
import shutil

from service.db.engine.database import open_database, transaction, unit_of_work
from service.db.engine.migrate import MIGRATIONS, migrate

AT = 1_900_000_000_000_000
OLD = {"check": "kvm", "verdict": "fail", "told": "no kernel", "mend": "Install one."}
NEW = {"check": "kvm", "verdict": "fail", "detail": "no kernel", "fix": "Install one."}
HOST = {"address": "10.0.0.1", "state": "active", "vcpus": 4, "memory_mib": 4096, "reserved_vcpus": 0}
HOST |= {"reserved_memory_mib": 0, "generation": 1, "ceph_user": "host-host1", "created_at": AT}
COUNTS = {"changed": 0, "allocated_vcpus": 0, "allocated_memory_mib": 0, "vm_count": 0}
JOB = {"state": "succeeded", "args": "{}", "actor": "ann", "request_id": "r", "code_version": 1, "created_at": AT}


def insert(db, table: str, **row: object) -> None:
    """Insert a row; columns that it leaves out must have a default in the schema, or none."""
    names = ", ".join(f'"{name}"' for name in row)
    db.execute_sql(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join([db.param] * len(row))})', list(row.values()))


def test_stored_findings_get_the_new_member_names(tmp_path, new_database):
    old = tmp_path / "old"
    old.mkdir()
    for path in MIGRATIONS.glob("[0-9]*.py"):
        if path.stem < "0014":
            shutil.copy(path, old)
    db = open_database(new_database("cloud"))
    migrate(db, old)
    foreign = {"told": "a result that is no finding"}
    with transaction(db):
        insert(db, "host", id="h", name="host1", findings=json.dumps([OLD]), **HOST, **COUNTS)
        insert(db, "host", **HOST | COUNTS | {"id": "i", "name": "host2", "address": "10.0.0.2"})
        more = {"phase": "", "progress": 1.0, "progress_text": "", "reason": "", "object_kind": "", "object_id": ""}
        more |= {"committed": False, "cancel_requested": False, "term": 1, "attempts": 1, "failures": 0}
        insert(
            db, "job", id="j", kind="check_host", result=json.dumps({"findings": [OLD], "fit": False}), **JOB, **more
        )
        insert(db, "job", id="k", kind="create_vm", result=json.dumps(foreign), **JOB, **more)
        step = {"job_id": "j", "name": "look", "position": 1, "started_at": AT, "finished_at": AT}
        insert(db, "job_step", result=json.dumps({"findings": [OLD], "uuid": "u"}), **step)
    assert migrate(db)[0] == "0014_finding_names"
    with unit_of_work(db):
        findings = [row for (row,) in db.execute_sql("SELECT findings FROM host ORDER BY id").fetchall()]
        results = [json.loads(row) for (row,) in db.execute_sql("SELECT result FROM job ORDER BY id").fetchall()]
        ((step_result,),) = db.execute_sql("SELECT result FROM job_step").fetchall()
    assert (json.loads(findings[0]), findings[1]) == ([NEW], None)
    assert results == [{"findings": [NEW], "fit": False}, foreign]
    assert json.loads(step_result) == {"findings": [NEW], "uuid": "u"}
