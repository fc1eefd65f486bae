import os
import signal
import subprocess
import sys
import textwrap
import threading

import peewee
import pytest

from service.db import tables
from service.db.engine.database import bind, open_database, transaction, unit_of_work
from service.db.engine.migrate import MIGRATIONS, migrate
from service.db.engine.postgres import PostgresDatabase
from service.errors import ConflictError
from service.jobs import job_tables

TABLES = (*tables.TABLES, *job_tables.TABLES)
CREATE_TWO = """
from peewee import *
def up(migrator, db):
    db.execute_sql("CREATE TABLE one (id INTEGER PRIMARY KEY)")
    {between}
    db.execute_sql("CREATE TABLE two (id INTEGER PRIMARY KEY)")
"""


@pytest.fixture
def opened_database(new_database):
    """Name → that database, opened anew."""
    return lambda name: open_database(new_database(name))


def schema(db) -> dict[str, list]:
    """Every table's columns, indexes and references, without regard to order of creation and names of references."""
    with unit_of_work(db):
        return {
            name: [
                sorted(map(str, db.get_columns(name))),
                sorted(str((index.columns, index.unique)) for index in db.get_indexes(name)),
                sorted(map(str, db.get_foreign_keys(name))),
                [] if isinstance(db, PostgresDatabase) else db.execute_sql(f"PRAGMA table_info({name})").fetchall(),
            ]
            for name in db.get_tables()
            if name != "schema_migration"
        }


def test_migrating_an_empty_database_gives_the_tables_of_the_code(opened_database):
    migrated, created = opened_database("migrated"), opened_database("created")
    migrate(migrated)
    bind(created, TABLES)
    with transaction(created):
        created.create_tables(TABLES)
    assert schema(migrated) == schema(created)


def test_a_second_migration_changes_nothing(opened_database):
    db = opened_database("a")
    assert migrate(db) == tuple(sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py")))
    assert migrate(db) == ()


def test_processes_that_start_together_migrate_once(opened_database):
    applied = []
    opened_database("a")  # a PostgreSQL opened_database is made by its first use
    threads = [threading.Thread(target=lambda: applied.append(migrate(opened_database("a")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied))[:3] == [0, 0, 0]
    assert len(applied) == 4


def test_a_database_of_newer_code_is_refused(opened_database):
    db = opened_database("a")
    migrate(db)
    with transaction(db):
        db.execute_sql("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2031-01-01')")
    with pytest.raises(ConflictError, match="9999_future") as refused:
        migrate(db)
    assert refused.value.code == "database.newer"


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path, opened_database):
    (tmp_path / "0001_two.py").write_text(CREATE_TWO.format(between="raise KeyError"))
    db = opened_database("a")
    with pytest.raises(KeyError):
        migrate(db, tmp_path)
    assert schema(db) == {}


def test_a_kill_in_the_middle_of_a_migration_is_harmless(tmp_path, opened_database, new_database):
    (tmp_path / "0001_two.py").write_text(CREATE_TWO.format(between="import os; os.kill(os.getpid(), 9)"))
    code = """
        from pathlib import Path
        from service.db.engine.database import open_database
        from service.db.engine.migrate import migrate
        migrate(open_database("{1}"), Path("{0}"))
    """
    program = textwrap.dedent(code).format(tmp_path, new_database("a"))
    died = subprocess.run([sys.executable, "-c", program], check=False, cwd=os.getcwd())
    assert died.returncode == -signal.SIGKILL
    assert schema(opened_database("a")) == {}
    (tmp_path / "0001_two.py").write_text(CREATE_TWO.format(between="pass"))
    db = opened_database("a")
    assert migrate(db, tmp_path) == ("0001_two",)
    assert set(schema(db)) == {"one", "two"}


def test_rebuilding_a_table_does_not_take_the_rows_that_refer_to_it(tmp_path, opened_database, product):
    (tmp_path / "0001_tree.py").write_text("""
def up(migrator, db):
    db.execute_sql("CREATE TABLE top (id INTEGER PRIMARY KEY, old TEXT)")
    db.execute_sql("CREATE TABLE leaf (id INTEGER PRIMARY KEY, top_id INTEGER REFERENCES top (id) ON DELETE CASCADE)")
    db.execute_sql("INSERT INTO top VALUES (1, 'x')")
    db.execute_sql("INSERT INTO leaf VALUES (1, 1)")
""")
    db = opened_database("a")
    migrate(db, tmp_path)
    by_rebuilding = "legacy=True" if product == "sqlite" else ""
    (tmp_path / "0002_drop.py").write_text(f"""
def up(migrator, db):
    migrator.migrate(migrator.drop_column("top", "old", {by_rebuilding}))
""")
    migrate(db, tmp_path)
    with unit_of_work(db):
        assert db.execute_sql("SELECT count(*) FROM leaf").fetchone()[0] == 1
    with pytest.raises(peewee.IntegrityError), transaction(db):
        db.execute_sql("INSERT INTO leaf VALUES (2, 2)")
