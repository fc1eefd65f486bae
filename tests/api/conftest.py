"""A cloud per test. Its database is a copy of one that is made once.

With NACRE_TEST_DATABASE=postgresql all clouds are on PostgreSQL.
"""

import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
import structlog

from service.db.engine.database import Database, open_database
from service.db.engine.migrate import migrate
from tests.api.world import KEY, MIB, Cloud
from tests.command import run_nacre
from tests.postgres import name_in


@pytest.fixture(scope="session", autouse=True)
def plain_log():
    """Tracebacks without colours and local variables, as the service itself writes them."""
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def schema(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "nacre.db"
    db = open_database(f"sqlite:///{path}")
    migrate(db)
    db.close_kept()  # all of it is in the one file then
    return path


@pytest.fixture(scope="session")
def on_postgresql() -> bool:
    return os.environ.get("NACRE_TEST_DATABASE") == "postgresql"


@pytest.fixture(scope="session")
def furnished(tmp_path_factory, request, schema, on_postgresql) -> tuple[Cloud, Path]:
    folder = tmp_path_factory.mktemp("furnished")
    if on_postgresql:
        template = request.getfixturevalue("postgres_schema")
        cloud = Cloud(folder, schema, open_database(request.getfixturevalue("postgres").new(template)))
        cloud.make_tokens().furnish().db.close_kept()
        return cloud, schema
    cloud = Cloud(folder, schema).make_tokens().furnish()
    cloud.db.close_kept()
    database = cloud.settings.state_dir / "nacre.db"
    assert not database.with_suffix(".db-wal").exists(), "the copy would lack what is not checkpointed"
    return cloud, Path(shutil.copy(database, folder))


@pytest.fixture
def empty(tmp_path, schema, request, on_postgresql) -> Iterator[Cloud]:
    """A cloud with nothing in it."""
    with copied(request, request.getfixturevalue("postgres_schema") if on_postgresql else None) as url:
        yield Cloud(tmp_path, schema, opened(url)).make_tokens()


@pytest.fixture
def furnished_copy(furnished, request, on_postgresql) -> Iterator[str | None]:
    """The URL of a PostgreSQL database that begins as the furnished one; None with SQLite."""
    with copied(request, name_in(furnished[0].db.conninfo) if on_postgresql else None) as url:
        yield url


@pytest.fixture
def cloud_with(tmp_path, furnished, furnished_copy) -> Callable[..., Cloud]:
    """Two hosts, a network, a flavor, an image; with other settings."""
    model, database = furnished
    return lambda **more: Cloud(tmp_path, database, opened(furnished_copy), **more).like(model)


@pytest.fixture
def cloud(cloud_with) -> Cloud:
    """Two hosts, a network, a flavor, an image."""
    return cloud_with()


@contextmanager
def copied(request, template: str | None) -> Iterator[str | None]:
    """The URL of a new PostgreSQL database; None where there is no template."""
    if template is None:
        yield None
        return
    server = request.getfixturevalue("postgres")
    url = server.new(template)
    yield url
    server.drop(url)


def opened(url: str | None) -> Database | None:
    return None if url is None else open_database(url)


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format, *args):  # noqa: A002 - the base class's name
        """Silent."""


@pytest.fixture
def served(cloud):
    """The cloud's API on loopback; `break_after` hangs up on that many first answers once they are done."""
    cloud.break_after = 0

    def app(environ, start_response):
        body = cloud.app(environ, start_response)
        if cloud.break_after and environ["REQUEST_METHOD"] == "POST":
            cloud.break_after -= 1
            raise ConnectionAbortedError("the answer is lost on its way")
        return body

    server = make_server("127.0.0.1", 0, app, Server, Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _without_logs(text):
    """The server's log is this process's, too."""
    return "".join(line for line in text.splitlines(keepends=True) if '"event": "http.request"' not in line)


@pytest.fixture
def nacre(cloud, served, tmp_path, monkeypatch, capsys):
    """Runs the command; returns (exit status, standard output, standard error)."""
    (tmp_path / "token").write_text(cloud.tokens["admin"] + "\n")
    (tmp_path / "key.pub").write_text(KEY + "\n")
    monkeypatch.setenv("NACRE_URL", served)
    monkeypatch.setenv("NACRE_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("NACRE_SSH_KEY", str(tmp_path / "key"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments):
        status, out, err = run_nacre(monkeypatch, capsys, *arguments)
        return status, _without_logs(out), _without_logs(err)

    return run


@pytest.fixture
def qcow2(tmp_path):
    """Makes a qcow2 file with the given options of qemu-img create; returns its bytes."""

    def make(*options: str, size: str = "1M") -> bytes:
        path = tmp_path / "made.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), size], check=True, cwd=tmp_path)
        return path.read_bytes()

    (tmp_path / "base.raw").write_bytes(bytes(MIB))
    return make
