"""The `nacre` command against a server on loopback; a database, and the world of a job."""

from collections.abc import Iterator
from functools import partial

import pytest

from service.cli import session
from service.db.engine.database import Database, bind, open_database
from service.db.tables import TABLES
from tests.command import run_nacre
from tests.unit.cli_server import Server
from tests.worlds.jobs import SetClock, World, open_world


@pytest.fixture
def cloud_db(database) -> Iterator[Database]:
    """A database with the service's tables and what the schema begins with."""
    db = open_database(database)
    bind(db, TABLES)
    yield db
    db.close_kept()


@pytest.fixture
def job_world(tmp_path, database) -> World:
    """A context for jobs, under a clock that is set."""
    return open_world(tmp_path, database, clock=SetClock())


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("NACRE_URL", "NACRE_TOKEN_FILE", "NACRE_SSH_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    session.client.cache_clear()
    yield tmp_path
    session.client.cache_clear()


@pytest.fixture
def bare(home, monkeypatch, capsys):
    """Runs the command in an environment that says nothing."""

    return partial(run_nacre, monkeypatch, capsys)


@pytest.fixture
def nacre(bare, home, server, monkeypatch):
    """Runs the command; returns (exit status, standard output, standard error)."""
    (home / "token").write_text("nacre_secret\n")
    monkeypatch.setenv("NACRE_URL", server.url)
    monkeypatch.setenv("NACRE_TOKEN_FILE", str(home / "token"))
    return bare
