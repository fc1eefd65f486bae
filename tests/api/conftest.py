"""A cloud per test. Its database is a copy of one that is made once.

With NACRE_TEST_DATABASE=postgresql all clouds are on PostgreSQL.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from service.db.database import Database, open_database
from service.db.migrate import migrate
from tests.api.world import Cloud
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
