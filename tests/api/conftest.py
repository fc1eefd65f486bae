"""A cloud per test. Its database is a copy of one that is made once."""

import shutil
from pathlib import Path

import pytest
import structlog

from service.db.database import open_database
from service.db.migrate import migrate
from tests.api.world import Cloud


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
    return path


@pytest.fixture(scope="session")
def furnished(tmp_path_factory, schema) -> tuple[Cloud, Path]:
    folder = tmp_path_factory.mktemp("furnished")
    cloud = Cloud(folder, schema).make_tokens().furnish()
    database = cloud.settings.state_dir / "nacre.db"
    assert not database.with_suffix(".db-wal").exists(), "the copy would lack what is not checkpointed"
    return cloud, Path(shutil.copy(database, folder))


@pytest.fixture
def empty(tmp_path, schema) -> Cloud:
    """A cloud with nothing in it."""
    return Cloud(tmp_path, schema).make_tokens()


@pytest.fixture
def cloud(tmp_path, furnished) -> Cloud:
    """Two hosts, a network, a flavor, an image."""
    model, database = furnished
    return Cloud(tmp_path, database).like(model)
