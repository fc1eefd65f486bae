"""What holds for every suite: no test fails on a clock, so hypothesis has no deadline for an example. And databases."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from service.db.engine.database import open_database
from service.db.engine.migrate import migrate
from tests.budget import pytest_addoption, pytest_configure, pytest_terminal_summary
from tests.postgres import Server, name_in, server

__all__ = ["pytest_addoption", "pytest_configure", "pytest_terminal_summary"]

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server of this run."""
    with server() as one:
        yield one


@pytest.fixture(scope="session")
def postgres_schema(postgres) -> str:
    """The name of a database that has the code's schema: to be copied."""
    url = postgres.new()
    db = open_database(url)
    migrate(db)
    db.close_kept()
    return name_in(url)


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory) -> Path:
    """A file that has the code's schema: to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "schema.db"
    db = open_database(f"sqlite:///{path}")
    migrate(db)
    db.close_kept()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def product(request) -> str:
    """The test runs with each."""
    return request.param


@pytest.fixture
def new_database(product, tmp_path, request) -> Iterator[Callable[[str], str]]:
    """Name → the URL of a database, which is empty at first."""
    urls: dict[str, str] = {}

    def url_of(name: str) -> str:
        if name not in urls:
            urls[name] = sqlite(tmp_path, name) if product == "sqlite" else request.getfixturevalue("postgres").new()
        return urls[name]

    yield url_of
    if product == "postgresql":
        for url in urls.values():
            request.getfixturevalue("postgres").drop(url)


@pytest.fixture
def database(product, tmp_path, request) -> Iterator[str]:
    """The URL of a database for worlds.jobs.open_world()."""
    if product == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_schema"), tmp_path / "nacre.db")
        yield sqlite(tmp_path, "nacre")
        return
    one, schema = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_schema")
    url = one.new(schema)
    yield url
    one.drop(url)


def sqlite(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}.db"
