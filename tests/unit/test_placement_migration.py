"""What was promised and decided before hosts had counters and decisions were short."""

import json
import shutil

from service.db.engine.database import open_database, transaction, unit_of_work
from service.db.engine.migrate import MIGRATIONS, migrate
from tests.unit.test_disks_migration import MADE, ROWS

OLDER = "0012"
BEST = {"host_id": "h", "host_name": "host1", "reasons": [], "score": 0.5, "terms": [["cpu_headroom", 0.5]]}
RULED_OUT = {"host_id": "x", "host_name": "host2", "reasons": ["host is fenced"], "score": None, "terms": []}
DECISION = {"algorithm": "storage_cpu", "chosen": BEST, "verdicts": [BEST, RULED_OUT]}
MORE = (
    ("allocation", {"id": "a", "vm_id": "v", "host_id": "h", "vcpus": 1, "memory_mib": 320}),
    ("placement", {"id": "p", "vm_id": "v", "host_id": "h", "decision": json.dumps(DECISION)}),
)


def test_counters_are_the_sums_and_old_decisions_keep_their_best_hosts(tmp_path, new_database, product):
    old, url = tmp_path / "old", new_database("cloud")
    old.mkdir()
    for path in MIGRATIONS.glob("[0-9]*.py"):
        if path.stem < OLDER:
            shutil.copy(path, old)
    db, mark = open_database(url), "?" if product == "sqlite" else "%s"
    first = tmp_path / "first"
    first.mkdir()
    for path in MIGRATIONS.glob("000[12]_*.py"):
        shutil.copy(path, first)
    migrate(db, first)
    with transaction(db):
        for table, row in (*ROWS, *MORE):
            values = MADE | row
            marks = ", ".join([mark] * len(values))
            names = ", ".join(f'"{name}"' for name in values)
            db.execute_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values()))
    migrate(db, old)
    migrate(db)
    with unit_of_work(db):
        hosts = db.execute_sql("SELECT allocated_vcpus, allocated_memory_mib, vm_count, changed FROM host").fetchall()
        assert hosts == [(1, 320, 1, 0)]
        ((algorithm, top, reasons, journal),) = db.execute_sql(
            "SELECT algorithm, top, reasons, journal FROM placement"
        ).fetchall()
        assert (algorithm, json.loads(top), reasons, journal) == ("storage_cpu", [BEST], "{}", None)
        assert db.execute_sql("SELECT value, removed FROM placement_version").fetchall() == [(0, 0)]
