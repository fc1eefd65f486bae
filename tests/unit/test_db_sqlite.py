"""What is true of SQLite only."""

import pytest

from service.db.engine.database import open_database, transaction, unit_of_work
from service.db.engine.migrate import migrate
from service.errors import ConflictError


@pytest.fixture
def sqlite_db(tmp_path):
    return open_database(f"sqlite:///{tmp_path / 'a.db'}")


def test_the_file_is_durable_and_keeps_its_references(sqlite_db):
    with unit_of_work(sqlite_db):
        values = [sqlite_db.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
        assert values == ["wal", 2]
        assert sqlite_db.execute_sql("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_unit_of_work_uses_the_connection_of_the_one_before(sqlite_db):
    seen = []
    for _ in range(3):
        with transaction(sqlite_db):
            seen.append(sqlite_db.connection())
    assert len(set(map(id, seen))) == 1


def test_a_cursor_ends_with_its_unit_of_work(sqlite_db):
    with unit_of_work(sqlite_db):
        cursor = sqlite_db.execute_sql("SELECT 1 UNION SELECT 2")
        assert cursor.fetchone() == (1,)
    with pytest.raises(Exception, match="closed"):
        cursor.fetchone()


def test_closing_what_is_kept_lets_go_of_the_file(sqlite_db, tmp_path):
    with transaction(sqlite_db):
        sqlite_db.execute_sql("CREATE TABLE one (id INTEGER)")
    sqlite_db.version()
    assert (tmp_path / "a.db-wal").exists()
    sqlite_db.close_kept()
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def test_a_migration_that_leaves_rows_without_what_they_refer_to_is_refused(tmp_path, sqlite_db):
    (tmp_path / "0001_tree.py").write_text("""
def up(migrator, sqlite_db):
    sqlite_db.execute_sql("CREATE TABLE top (id INTEGER PRIMARY KEY)")
    sqlite_db.execute_sql("CREATE TABLE leaf (id INTEGER PRIMARY KEY, top_id INTEGER REFERENCES top (id))")
    sqlite_db.execute_sql("INSERT INTO leaf VALUES (1, 1)")
""")
    with pytest.raises(ConflictError, match="leaf"):
        migrate(sqlite_db, tmp_path)
    with unit_of_work(sqlite_db):
        assert sqlite_db.get_tables() == []
