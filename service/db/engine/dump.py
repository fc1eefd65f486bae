"""Dump of a database to one file, and its load.

A dump is consistent while others write; a load needs the service to be stopped. A loaded dump is marked as unfinished
until `upkeep/restore.py` has compared it with the hosts and the storage.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from psycopg.conninfo import make_conninfo

from service.db.engine.database import Database, unit_of_work
from service.db.engine.postgres import WRITERS, PostgresDatabase
from service.db.engine.postgres_pool import connect
from service.db.engine.sqlite import PooledSqlite
from service.errors import ConflictError, UnavailableError

UNFINISHED = "restore_unfinished"  # a table: while it exists, no process of the service starts
MARK = f"CREATE TABLE IF NOT EXISTS {UNFINISHED} (id integer)"
EMPTY = """DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE 'DROP TABLE public.' || one.name || ' CASCADE';
    END LOOP;
END $$"""
OTHERS = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND application_name = 'nacre'"""


def product(db: Database) -> str:
    """Return `sqlite` or `postgresql`."""
    return "postgresql" if isinstance(db, PostgresDatabase) else "sqlite"


def applied_migrations(db: Database) -> list[str]:
    """Return the names of the applied migrations, in order."""
    with unit_of_work(db):
        rows = db.execute_sql("SELECT name FROM schema_migration ORDER BY name")  # type: ignore[no-untyped-call]
        return [name for (name,) in rows.fetchall()]


def is_unfinished(db: Database) -> bool:
    """Return True if it was loaded from a backup and not reconciled since.

    Inside a unit of work.
    """
    return UNFINISHED in db.get_tables()


def finish(db: Database) -> None:
    """Mark a loaded dump as reconciled. Inside a transaction."""
    db.execute_sql(f"DROP TABLE IF EXISTS {UNFINISHED}")  # type: ignore[no-untyped-call]


def dump(db: Database, file: Path) -> None:
    """Write a consistent copy of the database to a new file. Raises UnavailableError."""
    if isinstance(db, PostgresDatabase):
        _run("pg_dump", "--no-owner", "--no-privileges", "--file", str(file), "--dbname", db.conninfo)
    else:
        _dump_sqlite(db.database, file)


def load(db: Database, file: Path) -> None:
    """Replace the database by the dump, marked as unfinished, in one transaction.

    Raises ConflictError (`restore.in_use`) while the service runs, UnavailableError.
    """
    if isinstance(db, PostgresDatabase):
        _load_postgres(db, file)
    elif isinstance(db, PooledSqlite):
        _load_sqlite(db, file)


def _dump_sqlite(path: str, file: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(file)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = delete")
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise UnavailableError(f"the copy of the database is damaged: {found}", code="backup.damaged")


def _load_sqlite(db: PooledSqlite, file: Path) -> None:
    db.close_kept()
    with closing(sqlite3.connect(file)) as source, closing(_alone_with(Path(db.database))) as target:
        source.execute(MARK)
        source.commit()
        source.backup(target)


def _alone_with(path: Path) -> sqlite3.Connection:
    """Open the only connection to the file. Raises ConflictError if there are others."""
    path.touch(mode=0o600)
    target = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        target.execute("PRAGMA locking_mode = exclusive")
        target.execute("PRAGMA journal_mode = wal")
        target.execute("BEGIN EXCLUSIVE")
        target.execute("COMMIT")  # the lock stays, with this mode of locking
    except sqlite3.OperationalError as error:
        target.close()
        raise _in_use() from error
    return target


def _load_postgres(db: PostgresDatabase, file: Path) -> None:
    db.close_kept()
    with connect(db.conninfo) as one:
        row = one.execute(OTHERS).fetchone()
    if row is None or row[0]:
        raise _in_use()
    info = make_conninfo(db.conninfo, application_name="nacre restore", options="-c default_transaction_read_only=off")
    options = ("--no-psqlrc", "--quiet", "--output", os.devnull, "--set", "ON_ERROR_STOP=1", "--single-transaction")
    before = ("--command", f"SELECT pg_advisory_xact_lock({WRITERS})", "--command", EMPTY)
    after = ("--command", f"SET search_path = public; {MARK}")
    _run("psql", *options, "--dbname", info, *before, "--file", str(file), *after)


def _in_use() -> ConflictError:
    return ConflictError("the service runs: stop all its processes, then restore", code="restore.in_use")


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's tools. No argument is a password: see open_postgres()."""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UnavailableError(f"there is no {program}: install postgresql-client", code="backup.no_tool") from error
    if done.returncode != 0:
        raise UnavailableError(f"{program}: {done.stderr.strip()[:500]}", code="backup.tool_failed")
